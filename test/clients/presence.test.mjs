// Presence channels and client events (whispers) between Echo clients.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { startApi } from './api.mjs';
import { startDaemon } from './daemon.mjs';
import {
  askDaemon, becomes, collect, connectionOf, ends, grows, openEcho, serverLibrary, signed, subscribed,
} from './echo.mjs';

const ZOE = { id: 7, name: 'Zoë "Client" O\'Neil', role: 'client' };
const JOSE = { id: 9, name: 'José / 李雷', role: 'freelancer' };

const api = await startApi({ after });
const daemon = await startDaemon({ after }, { auth: { endpoint: api.url } });

/** Joins a room and writes down who is, comes and goes. */
function joinRoom(echo, log) {
  return echo.join('room.5')
    .here((members) => log.push(['here', members.sort((a, b) => a.id - b.id)]))
    .joining((member) => log.push(['joining', member]))
    .leaving((member) => log.push(['leaving', member]));
}

test('who is here, joins and leaves, a user with two connections once', async (t) => {
  const [zoe, jose, zoesPhone] = ['token-client-7', 'token-freelancer-9', 'token-client-7']
    .map((token) => openEcho(t, daemon, askDaemon(daemon, token)));
  const [byZoe, byJose, byPhone] = [[], [], []];
  await subscribed(joinRoom(zoe, byZoe));
  await subscribed(joinRoom(jose, byJose));
  await grows(byZoe, 2);
  await subscribed(joinRoom(zoesPhone, byPhone));
  zoesPhone.leave('room.5');
  jose.disconnect();
  await grows(byZoe, 3);
  await subscribed(joinRoom(zoesPhone, byPhone));
  zoe.disconnect();
  jose.connector.pusher.connect();
  await grows(byPhone, 3);
  await grows(byJose, 2);

  assert.deepEqual(byZoe, [['here', [ZOE]], ['joining', JOSE], ['leaving', JOSE]]);
  assert.deepEqual(byJose, [['here', [ZOE, JOSE]], ['here', [ZOE, JOSE]]]);
  assert.deepEqual(byPhone, [['here', [ZOE, JOSE]], ['here', [ZOE]], ['joining', JOSE]]);
});

test('whispers reach the others of a channel, not the sender', async (t) => {
  const clients = ['7', '9'].map((id) => openEcho(t, daemon, signed({ user_id: id })));
  for (const open of [(echo) => echo.private('job.42'), (echo) => echo.join('room.5')]) {
    const channels = clients.map(open);
    const heard = channels.map((channel) => {
      const list = [];
      channel.listenForWhisper('typing', (data, metadata) => list.push([data, metadata?.user_id]));
      return list;
    });
    await subscribed(...channels);
    channels[0].whisper('typing', { text: 'Guten Tag, 李雷 👋' });
    await grows(heard[1], 1);
    channels[1].whisper('typing', ['a', 1, null]);
    await grows(heard[0], 1);
    const users = channels[0].name.startsWith('presence-') ? ['7', '9'] : [undefined, undefined];
    assert.deepEqual(heard, [
      [[['a', 1, null], users[1]]],
      [[{ text: 'Guten Tag, 李雷 👋' }, users[0]]],
    ]);
  }
});

const PUBLIC = 'jobs.discovery', PRIVATE = 'private-job.42';

for (const [from, answers] of Object.entries({
  // 0: accepted, otherwise the error's code; by members of a public and a
  // private channel, and by a connection that isn't in the private one.
  members: { [PUBLIC]: 4301, [PRIVATE]: 0, outsider: 4009 },
  none: { [PUBLIC]: 4301, [PRIVATE]: 4301, outsider: 4301 },
  all: { [PUBLIC]: 0, [PRIVATE]: 0, outsider: 4009 },
})) {
  test(`accept_client_events_from: ${from}`, async (t) => {
    const own = await startDaemon(t, { app: { accept_client_events_from: from } });
    const open = () => openEcho(t, own, signed());
    const [member, other, outsider] = [open(), open(), open()];
    const errors = [];
    for (const echo of [member, outsider]) {
      connectionOf(echo).bind('error', ({ data }) => errors.push(data.code));
    }
    const channels = (echo) => [echo.channel('jobs.discovery'), echo.private('job.42')];
    const heard = channels(other).map((channel) => collect(channel, '.client-typing', '.end'));
    await subscribed(...channels(member), ...channels(other));
    await becomes(outsider, 'connected');

    const expected = [[], []];
    for (const [who, sender, channel] of [
      [PUBLIC, member, PUBLIC], [PRIVATE, member, PRIVATE], ['outsider', outsider, PRIVATE],
    ]) {
      sender.connector.pusher.send_event('client-typing', who, channel);
      if (answers[who] === 0) {
        const i = [PUBLIC, PRIVATE].indexOf(channel);
        expected[i].push(who);
        await grows(heard[i], expected[i].length);
      } else {
        await grows(errors, 1);
        assert.deepEqual(errors.splice(0), [answers[who]], who);
      }
    }
    await serverLibrary(own).trigger([PUBLIC, PRIVATE], 'end', 'end');
    for (const list of heard) await ends(list);
    assert.deepEqual(heard, expected.map((list) => [...list, 'end']));
    assert.deepEqual(errors, []);
  });
}
