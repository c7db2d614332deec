// Encrypted channels end to end: the app and its clients have the key, the
// daemon passes on what it can't read.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import PusherClient from 'pusher-js';

import { startApi } from './api.mjs';
import { startDaemon } from './daemon.mjs';
import {
  askDaemon, collect, encryptingLibrary, errorsOf, grows, messagesOf, openEcho, pusherOf, refused,
  subscribed,
} from './echo.mjs';
import { posted, published } from './fixtures.mjs';
import { eventually } from './process.mjs';
import { startRedis } from './redis.mjs';

const JOB = 'private-encrypted-job.42', NOTE = { id: 42, note: 'top secret ✓' };
const NEW_KEY = Buffer.alloc(32, 'another key').toString('base64');
const PLAIN = (source) => `broadcastd_plain_events_total{app="app-id",source="${source}"}`;
const WARNING = 'an event for an encrypted channel is not encrypted';

const redis = await startRedis({ after });
const api = await startApi({ after }, 'reverb');
const daemon = await startDaemon({ after }, { auth: { endpoint: api.url }, redis: { url: redis.url } });
const library = encryptingLibrary(daemon);

/** Opens a client that is subscribed to the job's channel, and what it gets: events, and messages as they came. */
async function listen(t) {
  const echo = openEcho(t, daemon, askDaemon(daemon, 'token-client-7'));
  const messages = messagesOf(echo);
  const channel = echo.encryptedPrivate('job.42');
  const heard = collect(channel, '.secret.note', '.end');
  await subscribed(channel);
  return { echo, heard, notes: () => messages.filter(({ event }) => event === 'secret.note').map(({ data }) => data) };
}

test('what the app encrypted, the client reads, and nobody between', async (t) => {
  assert.equal(PusherClient.name, 'PusherWithEncryption', 'pusher-js for Node is the build with encryption');
  const { heard, notes } = await listen(t);
  await library.trigger(JOB, 'secret.note', NOTE);
  await library.triggerBatch([
    { channel: JOB, name: 'secret.note', data: ['a', 1, null] },
    { channel: 'jobs.discovery', name: 'job.posted', data: { id: 42 } },
    { channel: JOB, name: 'secret.note', data: 'text 👋' },
  ]);
  await grows(heard, 3);
  assert.deepEqual(heard, [NOTE, ['a', 1, null], 'text 👋']);
  assert.deepEqual(notes().map(Object.keys), Array(3).fill(['nonce', 'ciphertext']));
  assert.equal(await daemon.metric(PLAIN('http')) || 0, 0);
  assert.ok(!daemon.log().includes('top secret'));
});

test('a client asks for the key again when it has changed', async (t) => {
  const { heard } = await listen(t);
  const asRecorded = api.answer;
  t.after(() => (api.answer = asRecorded));
  api.answer = (request, form, response) => {
    const app = encryptingLibrary({ port: 0 }, NEW_KEY);
    response.end(JSON.stringify(app.authorizeChannel(form.get('socket_id'), form.get('channel_name'))));
  };
  const asked = api.requests.length;
  await encryptingLibrary(daemon, NEW_KEY).trigger(JOB, 'secret.note', NOTE);
  await grows(heard, 1);
  assert.deepEqual(heard, [NOTE]);
  assert.equal(api.requests.length, asked + 1);
});

test('without a key there is no subscription', async (t) => {
  const keyless = await startApi(t, 'redis'); // which answers true
  const own = await startDaemon(t, { auth: { endpoint: keyless.url } });
  const echo = openEcho(t, own, askDaemon(own, 'token-client-7'));
  assert.equal(await refused(echo.encryptedPrivate('job.42')), 502);
});

test('no whispers', async (t) => {
  const { echo, heard } = await listen(t);
  const other = await listen(t);
  assert.throws(() => echo.encryptedPrivate('job.42').whisper('typing', {}), /not currently supported/);
  const errors = errorsOf(echo);
  pusherOf(echo).send_event('client-typing', {}, JOB);
  await grows(errors, 1);
  assert.deepEqual(errors, [4301]);
  await library.trigger(JOB, 'end', 'end');
  for (const list of [heard, other.heard]) {
    await grows(list, 1);
    assert.deepEqual(list, ['end']);
  }
});

test('plain text in Redis: a warning, once, a count, and no client takes it', async (t) => {
  const own = await startDaemon(t, { auth: { endpoint: api.url }, redis: { url: redis.url } });
  const echo = openEcho(t, own, askDaemon(own, 'token-client-7'));
  const channel = echo.encryptedPrivate('job.42');
  const heard = collect(channel, '.secret.note');
  await subscribed(channel);
  const fromLaravel = published.filter(({ channel: name }) => name.endsWith(JOB));
  assert.equal(fromLaravel.length, 2, 'recorded with phpredis and predis');
  for (const { channel: name, payload } of fromLaravel) await redis.publish(name, payload);
  await redis.publish('laravel-database-private-job.42', '{"event":"job.updated","data":{},"socket":null}');

  const { name: event, data } = JSON.parse(posted.find((entry) => entry.event === 'SecretNote-encrypted').body);
  await redis.publish(`laravel-database-${JOB}`, JSON.stringify({ event, data: JSON.parse(data), socket: null }));
  await grows(heard, 1);
  assert.deepEqual(heard, [NOTE], 'only what was encrypted');
  // Each node hears for itself what Laravel publishes.
  await eventually('a count', async () => await own.metric(PLAIN('redis')) === 2 * own.nodes.length);
  const plain = { name: event, channel: JOB, data: JSON.stringify(NOTE) };
  await encryptingLibrary(own).post({ path: '/events', body: plain });
  assert.equal(await own.metric(PLAIN('http')), 1);
  const warnings = own.log().split('\n').filter((line) => line.includes(WARNING));
  assert.equal(warnings.length, own.nodes.length);
  assert.match(warnings[0], /level=WARN .* app=app-id source=redis/);
  assert.ok(!own.log().includes('top secret'));
});
