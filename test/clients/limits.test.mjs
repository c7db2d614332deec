// What one client may do to the others: whispers a second, members of a channel.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startDaemon } from './daemon.mjs';
import { collect, ends, errorsOf, openEcho, refused, serverLibrary, signed, subscribed } from './echo.mjs';
import { eventually } from './process.mjs';

const member = (id, info) => signed({ user_id: id, user_info: info });

test('ten whispers a second: more are errors, and the connection stays', async (t) => {
  const daemon = await startDaemon(t);
  const [sender, other] = ['7', '9'].map((id) => openEcho(t, daemon, member(id)));
  const [job, sameJob] = [sender, other].map((echo) => echo.private('job.42'));
  const heard = collect(sameJob, '.client-typing'), errors = errorsOf(sender);
  await subscribed(job, sameJob);
  const socket = sender.socketId();

  const sent = Array.from({ length: 50 }, (_, i) => i);
  for (const i of sent) job.whisper('typing', i);
  await eventually('an answer to each', () => heard.length + errors.length === sent.length);
  assert.deepEqual(heard.slice(0, 10), sent.slice(0, 10));
  assert.ok(errors.length > 0);
  assert.deepEqual(new Set(errors), new Set([4301]));

  await eventually('a whisper goes through again', () => {
    job.whisper('typing', 'later');
    return heard.includes('later');
  });
  assert.equal(sender.socketId(), socket);
});

test('no limit on whispers', async (t) => {
  const daemon = await startDaemon(t, { app: { max_client_events_per_second: 0 } });
  const [sender, other] = ['7', '9'].map((id) => openEcho(t, daemon, member(id)));
  const [job, sameJob] = [sender, other].map((echo) => echo.private('job.42'));
  const heard = collect(sameJob, '.client-typing');
  await subscribed(job, sameJob);
  for (let i = 1; i < 100; i++) job.whisper('typing', i);
  job.whisper('typing', 'end');
  await ends(heard);
  assert.equal(heard.length, 100);
});

test('a whisper over the limit is an error', async (t) => {
  const daemon = await startDaemon(t, { app: { max_event_size: 1000 } });
  const [sender, other] = ['7', '9'].map((id) => openEcho(t, daemon, member(id)));
  const [job, sameJob] = [sender, other].map((echo) => echo.private('job.42'));
  const heard = collect(sameJob, '.client-typing'), errors = errorsOf(sender);
  await subscribed(job, sameJob);
  job.whisper('typing', 'x'.repeat(1001));
  job.whisper('typing', 'end');
  await ends(heard);
  assert.deepEqual([heard, errors], [['end'], [4301]]);
});

test('a presence channel has so many members, however many connections', async (t) => {
  const daemon = await startDaemon(t, { app: { max_presence_members: 2 } });
  const [zoe, phone, jose] = ['7', '7', '9'].map((id) => openEcho(t, daemon, member(id)));
  for (const echo of [zoe, jose, phone]) await subscribed(echo.join('room.5'));
  // A new client each time: pusher-js doesn't repeat what was refused.
  const late = () => openEcho(t, daemon, member('12'));

  const outside = late();
  assert.equal(await refused(outside.join('room.5')), 403);
  await subscribed(outside.join('room.6'), outside.private('room.5'));
  zoe.leave('room.5');
  const library = serverLibrary(daemon);
  const users = async () => {
    const answer = await library.get({ path: '/channels/presence-room.5/users' });
    return (await answer.json()).users.map(({ id }) => id).sort();
  };
  assert.equal(await refused(late().join('room.5')), 403, 'the user\'s other connection is there');
  assert.deepEqual(await users(), ['7', '9']);
  phone.leave('room.5');
  await eventually('a place', async () => (await users()).length === 1);
  await subscribed(late().join('room.5'));
  assert.deepEqual(await users(), ['12', '9']);
});

test('the sizes of a member', async (t) => {
  const daemon = await startDaemon(t, { app: { max_user_info: 100 } });
  for (const [who, status] of [
    [member('7', 'x'.repeat(98)), 0],
    [member('7', 'x'.repeat(99)), 400],
    [member('7'.repeat(128)), 0],
    [member('7'.repeat(129)), 400],
    [member(''), 400],
  ]) {
    const room = openEcho(t, daemon, who).join('room.5');
    if (status === 0) await subscribed(room);
    else assert.equal(await refused(room), status);
  }
});

test('so many channels of one connection', async (t) => {
  const daemon = await startDaemon(t, { app: { max_subscriptions: 2 } });
  const echo = openEcho(t, daemon, member('7'));
  await subscribed(echo.channel('jobs'), echo.private('job.42'));
  assert.equal(await refused(echo.channel('one.more')), 403);
  echo.leave('jobs');
  await subscribed(echo.channel('another'));
  await subscribed(openEcho(t, daemon).channel('jobs'));
});
