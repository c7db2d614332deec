// What happens to channels is told to the app, whose library verifies it.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { startDaemon } from './daemon.mjs';
import { grows, openEcho, serverLibrary, signed, subscribed } from './echo.mjs';
import { eventually } from './process.mjs';
import { startReceiver } from './receiver.mjs';

const ANN = signed({ user_id: 'ann@example.com', user_info: { name: 'Ann' } });
const BOB = signed({ user_id: '9' });

const start = (t, receiver, options) =>
  startDaemon(t, { app: { webhooks: [{ url: receiver.url }], ...options } });

/** Takes the events that came since, once there are as many as expected. */
async function expectEvents({ events }, ...expected) {
  await grows(events, expected.length);
  assert.deepEqual(events.splice(0), expected);
}

/** Two events of one join: where there are several nodes, the second is told first. */
const inTurn = ({ nodes }, ...events) => (nodes.length > 1 ? events.reverse() : events);

// At the same time, since departures are told 3 s late.
describe('webhooks', { concurrency: true }, () => {
  it('each type of event, signed', async (t) => {
    const receiver = await startReceiver(t);
    const daemon = await start(t, receiver, { subscription_count: true });
    const [ann, bob, bobsPhone] = [ANN, BOB, BOB].map((who) => openEcho(t, daemon, who));
    const room = { channel: 'presence-room.5' }, job = { channel: 'private-job.42' }, jobs = { channel: 'cache-jobs' };

    const left = [];
    await subscribed(ann.join('room.5').leaving((who) => left.push(who)));
    await subscribed(ann.private('job.42'));
    await subscribed(ann.channel('cache-jobs'));
    await expectEvents(receiver,
      { name: 'channel_occupied', ...room },
      { name: 'member_added', ...room, user_id: 'ann@example.com' },
      { name: 'channel_occupied', ...job },
      { name: 'subscription_count', ...job, subscription_count: 1 },
      { name: 'channel_occupied', ...jobs },
      ...inTurn(daemon,
        { name: 'cache_miss', ...jobs },
        { name: 'subscription_count', ...jobs, subscription_count: 1 }));

    for (const echo of [bob, bobsPhone]) await subscribed(echo.join('room.5'));
    await subscribed(bob.private('job.42'));
    await expectEvents(receiver,
      { name: 'member_added', ...room, user_id: '9' },
      { name: 'subscription_count', ...job, subscription_count: 2 });

    ann.join('room.5').whisper('typing', { text: 'José 李雷 👋 </script>' });
    await grows(receiver.events, 1);
    bob.private('job.42').whisper('typing', 'text');
    await expectEvents(receiver,
      { name: 'client_event', ...room, user_id: 'ann@example.com', event: 'client-typing',
        data: '{"text":"José 李雷 👋 </script>"}', socket_id: ann.socketId() },
      { name: 'client_event', ...job, event: 'client-typing', data: 'text', socket_id: bob.socketId() });

    bobsPhone.disconnect(); // whose user is still here
    bob.leave('job.42');
    await grows(receiver.events, 1);
    bob.leave('room.5');
    await grows(left, 1);
    ann.leave('cache-jobs');
    await expectEvents(receiver,
      { name: 'subscription_count', ...job, subscription_count: 1 },
      { name: 'member_removed', ...room, user_id: '9' },
      { name: 'channel_vacated', ...jobs });

    assert.equal(new Set(receiver.ids).size, receiver.ids.length, 'nothing is told twice');
    for (const { valid, headers, time } of receiver.requests) {
      assert.ok(valid, 'Pusher\'s library verifies it');
      assert.equal(headers['x-pusher-key'], 'app-key');
      assert.ok(time > 0, `${time}`);
    }
  });

  it('only what was asked for, with the headers that were set', async (t) => {
    const [some, all] = [await startReceiver(t), await startReceiver(t)];
    const daemon = await startDaemon(t, { app: { webhooks: [
      {
        url: some.url, headers: { Authorization: 'Bearer of-webhooks' },
        events: ['channel_occupied', 'client_event'], channel_prefix: 'presence-', channel_suffix: '.5',
      },
      { url: all.url },
    ] } });
    const echo = openEcho(t, daemon, ANN);
    await subscribed(echo.join('room.6'), echo.private('room.5'));
    const room = echo.join('room.5');
    await subscribed(room);
    room.whisper('typing', 1);
    await expectEvents(some,
      { name: 'channel_occupied', channel: 'presence-room.5' },
      { name: 'client_event', channel: 'presence-room.5', user_id: 'ann@example.com', event: 'client-typing',
        data: '1', socket_id: echo.socketId() });
    await grows(all.events, 6);
    assert.deepEqual(all.events.map(({ name, channel }) => `${name} ${channel}`).sort(), [
      'channel_occupied presence-room.5', 'channel_occupied presence-room.6', 'channel_occupied private-room.5',
      'client_event presence-room.5', 'member_added presence-room.5', 'member_added presence-room.6',
    ]);
    for (const { headers } of some.requests) assert.equal(headers.authorization, 'Bearer of-webhooks');
    for (const { headers } of all.requests) assert.equal(headers.authorization, undefined);
  });

  it('who is back at once has not left', async (t) => {
    const receiver = await startReceiver(t);
    const daemon = await start(t, receiver);
    const echo = openEcho(t, daemon, ANN);
    const library = serverLibrary(daemon);
    const room = { channel: 'presence-room.5' };
    for (let visits = 0; visits < 3; visits++) {
      await subscribed(echo.join('room.5'));
      echo.leave('room.5');
      await eventually('nobody is in the room', async () => {
        const answer = await library.get({ path: '/channels/presence-room.5' });
        return !(await answer.json()).occupied;
      });
    }
    await expectEvents(receiver,
      { name: 'channel_occupied', ...room },
      { name: 'member_added', ...room, user_id: 'ann@example.com' },
      { name: 'member_removed', ...room, user_id: 'ann@example.com' },
      { name: 'channel_vacated', ...room });
  });

  it('what is not taken comes again, the same', async (t) => {
    const receiver = await startReceiver(t);
    const daemon = await start(t, receiver);
    receiver.status = 503;
    await subscribed(openEcho(t, daemon).channel('jobs.discovery'));
    await grows(receiver.requests, 2);
    receiver.status = 200;
    await expectEvents(receiver, { name: 'channel_occupied', channel: 'jobs.discovery' });
    assert.equal(new Set(receiver.requests.map(({ body }) => body)).size, 1);
    assert.match(daemon.log(), /level=WARN msg="webhook failed and will be tried again"/);
    await eventually('the log says that it works again', () => /level=INFO msg="webhook works again"/.test(daemon.log()));
  });

  it('at the end everybody has left, and it is told', async (t) => {
    const receiver = await startReceiver(t);
    const daemon = await start(t, receiver);
    const echo = openEcho(t, daemon, ANN);
    await subscribed(echo.join('room.5'));
    await grows(receiver.events, 2);
    receiver.events.length = 0;
    await daemon.stop();
    const left = [
      { name: 'member_removed', channel: 'presence-room.5', user_id: 'ann@example.com' },
      { name: 'channel_vacated', channel: 'presence-room.5' },
    ];
    if (daemon.nodes.length === 1) {
      assert.deepEqual(receiver.events, left, 'told before the end');
    } else { // when all nodes end at once, those that start next tell what is left
      echo.disconnect();
      await daemon.start();
      await expectEvents(receiver, ...left);
    }
  });

  it('a receiver that hangs delays only its own, and each app signs for itself', async (t) => {
    const [receiver, hanging] = [await startReceiver(t), await startReceiver(t)];
    hanging.status = undefined;
    const webhooks = [{ url: hanging.url }, { url: receiver.url }];
    const daemon = await startDaemon(t, {
      app: { webhooks },
      apps: [{ id: 'other-id', key: 'other-key', secret: 'other-secret', webhooks }],
    });
    const [echo, other] = [openEcho(t, daemon), openEcho(t, daemon, { key: 'other-key' })];
    await subscribed(echo.channel('jobs'), other.channel('others'));
    await expectEvents(receiver, { name: 'channel_occupied', channel: 'jobs' });
    await eventually('the other app\'s webhook', () => receiver.requests.some(({ headers, valid }) =>
      headers['x-pusher-key'] === 'other-key' && !valid));
    await grows(hanging.requests, 2);
    assert.deepEqual(hanging.events, []);
  });
});
