// A connection's life, as pusher-js reacts to what the daemon does.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { startBalancer } from './balancer.mjs';
import { startDaemon } from './daemon.mjs';
import {
  becomes, collect, connectionOf, grows, openEcho, serverLibrary, signed, subscribed,
} from './echo.mjs';
import { eventually } from './process.mjs';
import { openSocket } from './socket.mjs';

/** Collects the messages of a name that a client gets on whatever channel. */
function messages(echo, event) {
  const list = [];
  connectionOf(echo).bind('message', (message) => message.event === event && list.push(message));
  return list;
}

/** Two clients on all kinds of channels, who go through a restart. */
async function restart(t, address, replaceDaemon) {
  const zoe = openEcho(t, address, signed({ user_id: '7', user_info: 'Zoë' }));
  const jose = openEcho(t, address, signed({ user_id: '9', user_info: 'José' }));
  const witness = await openSocket(t, address);
  const present = [];
  const room = zoe.join('room.5')
    .here((members) => present.push(...members))
    .joining((member) => present.push(member));
  const channels = [zoe.channel('jobs.discovery'), zoe.private('job.42'), room];
  const events = channels.map((channel) => collect(channel, '.job.updated'));
  const whispers = collect(channels[1], '.client-typing');
  const everything = [...channels, jose.private('job.42'), jose.join('room.5')];
  await subscribed(...everything);
  await grows(present, 2);
  const before = [zoe, jose].map((echo) => echo.socketId());

  const next = await replaceDaemon();
  assert.equal(await witness.closes(), 4200);
  for (const [i, echo] of [zoe, jose].entries()) {
    await eventually('a new connection', () => echo.socketId() && echo.socketId() !== before[i]);
  }
  await subscribed(...everything);
  await eventually('both are in the room again', () => present.filter((who) => who === 'José').length === 2);

  await serverLibrary(next).trigger(channels.map(({ name }) => name), 'job.updated', { id: 42 });
  for (const heard of events) {
    await grows(heard, 1);
    assert.deepEqual(heard, [{ id: 42 }]);
  }
  jose.private('job.42').whisper('typing', 'hello again');
  await grows(whispers, 1);
  assert.deepEqual(whispers, ['hello again']);
}

// At the same time, since clients spend most of it waiting.
describe('a connection', { concurrency: true }, () => {
  it('the client pings after silence, and stays', async (t) => {
    const daemon = await startDaemon(t, { app: { activity_timeout: 1 } });
    const echo = openEcho(t, daemon);
    const pongs = messages(echo, 'pusher:pong');
    await becomes(echo, 'connected');
    const socket = echo.socketId();
    await grows(pongs, 2);
    assert.equal(echo.socketId(), socket);
  });

  it('the server pings after silence: who answers stays, who does not goes', async (t) => {
    const daemon = await startDaemon(t, { app: { ping_interval: '1s', pong_timeout: '5s' } });
    const echo = openEcho(t, daemon);
    const pings = messages(echo, 'pusher:ping');
    await becomes(echo, 'connected');
    const socket = echo.socketId();

    const deaf = await openSocket(t, daemon);
    await deaf.hears('pusher:ping');
    assert.equal(await deaf.closes(), 4201);
    await grows(pings, 2);
    assert.equal(echo.socketId(), socket);
  });

  it('a restart: everybody comes back, to all channels', async (t) => {
    const daemon = await startDaemon(t);
    // pusher-js tries at once, finds nobody at the port, and then waits 15 s.
    await restart(t, daemon, async () => {
      await daemon.stop();
      await daemon.start();
      return daemon;
    });
  });

  it('a restart behind a load balancer: everybody goes to the other daemon', async (t) => {
    const [old, next] = await Promise.all([startDaemon(t), startDaemon(t)]);
    const balancer = await startBalancer(t, [old]);
    await restart(t, balancer, async () => {
      balancer.targets = [next];
      await old.stop();
      return next;
    });
  });

  it('an unknown key: told so, and does not try again', async (t) => {
    const daemon = await startDaemon(t);
    const echo = openEcho(t, daemon, { key: 'no-such-key' });
    const errors = [];
    connectionOf(echo).bind('error', ({ error }) => errors.push(error.data.code));
    await becomes(echo, 'disconnected');
    assert.deepEqual(errors, [4001]);
    const socket = await openSocket(t, daemon, { key: 'no-such-key' });
    assert.equal((await socket.hears('pusher:error')).data.code, 4001);
    assert.equal(await socket.closes(), 4001);
    assert.equal(await daemon.metric('broadcastd_connections_refused_total{reason="app_not_found"}'), 2);
  });

  it('over max_connections: waits, and comes in when somebody leaves', async (t) => {
    const daemon = await startDaemon(t, { app: { max_connections: 1 } });
    const first = openEcho(t, daemon);
    await becomes(first, 'connected');
    const second = openEcho(t, daemon);
    const refused = 'broadcastd_connections_refused_total{reason="over_capacity"}';
    await eventually('two attempts', async () => await daemon.metric(refused) >= 2);
    assert.notEqual(connectionOf(second).state, 'connected');
    const socket = await openSocket(t, daemon);
    assert.equal((await socket.hears('pusher:error')).data.code, 4100);
    assert.equal(await socket.closes(), 4100);

    first.disconnect();
    await becomes(second, 'connected');
  });

  it('pages of other sites are refused', async (t) => {
    const origins = ['jobs.example.com', '*.jobs.example.com'];
    const daemon = await startDaemon(t, { app: { allowed_origins: origins } });
    for (const [origin, allowed] of Object.entries({
      'https://jobs.example.com': true,
      'https://www.jobs.example.com:8443': true,
      'https://evil.example': false,
      'https://jobs.example.com.evil.example': false,
      null: false,
    })) {
      const socket = await openSocket(t, daemon, { headers: { Origin: origin } });
      if (allowed) {
        await socket.hears('pusher:connection_established');
      } else {
        assert.equal((await socket.hears('pusher:error')).data.code, 4009, origin);
        assert.equal(await socket.closes(), 4009, origin);
      }
    }
    await becomes(openEcho(t, daemon), 'connected'); // not a browser: no origin
  });

  it('a message over the limit ends its connection only', async (t) => {
    const daemon = await startDaemon(t, { app: { max_message_size: 1000 } });
    const large = openEcho(t, daemon, signed()), other = openEcho(t, daemon, signed());
    const [largeJob, otherJob] = [large.private('job.42'), other.private('job.42')];
    const [byLarge, byOther] = [largeJob, otherJob].map((channel) => collect(channel, '.client-typing', '.end'));
    await subscribed(largeJob, otherJob);
    const before = [large.socketId(), other.socketId()];

    largeJob.whisper('typing', 'x'.repeat(2000));
    await eventually('a new connection', () => large.socketId() && large.socketId() !== before[0]);
    await subscribed(largeJob);
    await serverLibrary(daemon).trigger('private-job.42', 'end', 'end');
    await grows(byLarge, 1);
    await grows(byOther, 1);
    assert.deepEqual([byLarge, byOther], [['end'], ['end']]);
    assert.equal(other.socketId(), before[1]);
    const socket = await openSocket(t, daemon);
    socket.send({ event: 'client-typing', channel: 'private-job.42', data: 'x'.repeat(2000) });
    assert.equal(await socket.closes(), 1009);
  });
});
