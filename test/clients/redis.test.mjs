// What a Laravel application publishes in Redis reaches Echo.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { startDaemon } from './daemon.mjs';
import { becomes, collect, ends, grows, openEcho, signed, subscribed } from './echo.mjs';
import { published, RECORDED_SOCKET } from './fixtures.mjs';
import { startRedis } from './redis.mjs';

const OLD_PREFIX = 'laravel_database_', NEW_PREFIX = 'laravel-database-';

const redis = await startRedis({ after });
const daemon = await startDaemon({ after }, { redis: { url: redis.url } });

const recorded = published.filter(({ channel }) => channel.startsWith(OLD_PREFIX));
const channelOf = (entry) => entry.channel.slice(OLD_PREFIX.length);
const payloadOf = (name) => published.find(({ client, event }) => client === 'phpredis' && event === name).payload;

/** Echo's way to name an event, which may be a class of the app. */
function listenerName(event) {
  const namespace = 'App\\Events\\';
  return event.startsWith(namespace) ? event.slice(namespace.length) : `.${event}`;
}

/** The Echo channel of a name with its prefix. */
function channelNamed(echo, name) {
  const [, kind, rest] = name.match(/^(private-|presence-)?(.*)$/);
  switch (kind) {
    case 'private-': return echo.private(rest);
    case 'presence-': return echo.join(rest);
    default: return echo.channel(name);
  }
}

/** What the payload's listeners get: without the socket that Laravel's redis driver leaves in data. */
function deliveredData(payload) {
  const { data, socket } = JSON.parse(payload);
  if (!('socket' in data) || data.socket !== socket) return data;
  const { socket: _, ...rest } = data;
  return Object.keys(rest).length > 0 ? rest : [];
}

for (const client of ['phpredis', 'predis']) {
  for (const prefix of [OLD_PREFIX, NEW_PREFIX]) {
    test(`every recorded event of ${client} under ${prefix}`, async (t) => {
      const echo = openEcho(t, daemon, signed());
      const entries = recorded.filter((entry) => entry.client === client);
      // Echo can't subscribe to the first, and gives no clear text out on the second.
      const names = new Set(entries.map(channelOf).filter((name) => !/[ :]|^private-encrypted-/.test(name)));
      const expected = {}, heard = {};
      for (const name of names) {
        const sent = entries.filter((entry) => channelOf(entry) === name && entry.payload !== '')
          .map(({ payload }) => [JSON.parse(payload).event, deliveredData(payload)]);
        expected[name] = [...sent, ['end', null]];
        heard[name] = [];
        const channel = channelNamed(echo, name);
        for (const event of new Set(expected[name].map(([event]) => event))) {
          channel.listen(listenerName(event), (data) => heard[name].push([event, data]));
        }
        await subscribed(channel);
      }

      for (const entry of entries) await redis.publish(prefix + channelOf(entry), entry.payload);
      const end = '{"event":"end","data":null,"socket":null}';
      await redis.publish([...names].map((name) => prefix + name), end);
      for (const name of names) await grows(heard[name], expected[name].length);
      assert.ok(names.size >= 9, `${names.size} channels`);
      assert.deepEqual(heard, expected);
    });
  }
}

test('text arrives exactly, by Echo for Pusher too', async (t) => {
  const echo = openEcho(t, daemon, { broadcaster: 'pusher', cluster: 'mt1' });
  const channel = echo.channel('jobs.discovery');
  const jobs = collect(channel, '.job.posted');
  await subscribed(channel);
  await redis.publish(`${NEW_PREFIX}jobs.discovery`, payloadOf('JobPosted'));
  await grows(jobs, 1);
  assert.equal(jobs[0].job.title, 'Fix "checkout" </script> & café résumé');
  assert.equal(jobs[0].job.description, 'Need a "senior" dev 🚀👩‍💻 – naïve café, 日本語, ' +
    'العربية; path C:\\temp/x, tab\there\nnew line, it\'s <b>bold</b> & \u2028end');
});

test('the ways to listen in Echo: class names, notifications, presence', async (t) => {
  const echo = openEcho(t, daemon, signed());
  const heard = {};
  const job = echo.private('job.42').listen('MilestoneReached', (event) => (heard.milestone = event));
  const user = echo.private('App.Models.User.7').notification((event) => (heard.notification = event));
  const room = echo.join('room.5').listen('.room.message', (event) => (heard.message = event));
  await subscribed(job, user, room);
  for (const [channel, event] of [
    ['private-job.42', 'MilestoneReached-no-broadcastAs'],
    ['private-App.Models.User.7', 'Notification'],
    ['presence-room.5', 'RoomMessage-presence'],
  ]) await redis.publish(OLD_PREFIX + channel, payloadOf(event));
  await grows({ get length() { return Object.keys(heard).length; } }, 3);
  assert.deepEqual(heard, {
    milestone: { jobId: 42, progress: 0.1, note: null },
    notification: deliveredData(payloadOf('Notification')),
    message: { room: 5, text: 'hello 👋' },
  });
});

test('toOthers leaves the sender out, and nobody else', async (t) => {
  const [sender, other] = ['7', '9'].map((id) => openEcho(t, daemon, signed({ user_id: id })));
  await becomes(sender, 'connected');
  const entries = recorded.filter(({ x_socket_id: socket }) => socket === RECORDED_SOCKET);
  const toOthers = entries.filter(({ payload }) => JSON.parse(payload).socket !== null);
  assert.ok(toOthers.length > 0 && toOthers.length < entries.length, 'recorded with and without toOthers()');

  for (const name of new Set(entries.map(channelOf))) {
    const here = entries.filter((entry) => channelOf(entry) === name)
      .map(({ payload }) => payload.replaceAll(RECORDED_SOCKET, sender.socketId()));
    const events = [...new Set(here.map((payload) => `.${JSON.parse(payload).event}`)), '.end'];
    const [bySender, byOther] = await Promise.all([sender, other].map(async (echo) => {
      const channel = channelNamed(echo, name);
      const heard = collect(channel, ...events);
      await subscribed(channel);
      return heard;
    }));
    for (const payload of here) await redis.publish(OLD_PREFIX + name, payload);
    await redis.publish(OLD_PREFIX + name, '{"event":"end","data":"end","socket":null}');

    const forAll = here.filter((payload) => JSON.parse(payload).socket === null);
    await ends(bySender);
    await ends(byOther);
    assert.deepEqual(bySender, [...forAll.map(deliveredData), 'end'], `${name}, who caused it`);
    assert.deepEqual(byOther, [...here.map(deliveredData), 'end'], `${name}, another`);
  }
});

test('events flow again when Redis comes back', async (t) => {
  const echo = openEcho(t, daemon);
  const channel = echo.channel('jobs.discovery');
  const counts = collect(channel, '.jobs.count');
  await subscribed(channel);
  const socket = echo.socketId();

  await redis.kill();
  await daemon.becomes('degraded');
  await redis.start();
  await daemon.becomes('ready');
  await redis.publish(`${NEW_PREFIX}jobs.discovery`, payloadOf('AnonymousEvent'));
  await grows(counts, 1);
  assert.deepEqual(counts, [{ count: 3 }]);
  assert.equal(echo.socketId(), socket, 'the client stayed connected');
});
