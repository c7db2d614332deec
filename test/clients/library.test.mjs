// Pusher's server library publishes over the signed HTTP API.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { startDaemon } from './daemon.mjs';
import { collect, ends, grows, openEcho, serverLibrary, signed, subscribed } from './echo.mjs';
import { posted } from './fixtures.mjs';

const daemon = await startDaemon({ after }, { max_request_size: '300KiB', app: { max_event_size: '100KiB' } });
const library = serverLibrary(daemon);

/** Subscribes to a public and a private channel, and collects some events on both. */
async function listen(t, ...events) {
  const echo = openEcho(t, daemon, signed());
  const discovery = echo.channel('jobs.discovery'), job = echo.private('job.42');
  const heard = [collect(discovery, ...events), collect(job, ...events)];
  await subscribed(discovery, job);
  return { echo, heard };
}

/** The status with which the daemon answers a request that fails. */
const failureOf = (request) => request.then(() => assert.fail('was accepted'), (error) => {
  const { error: text } = JSON.parse(error.body);
  assert.match(text, /^[^\n]+$/, 'one line says why');
  return error.status;
});

test('an object and a string, to one channel and to several', async (t) => {
  const { heard: [discovery, job] } = await listen(t, '.a', '.b', '.end');
  const answer = await library.trigger('jobs.discovery', 'a', { title: 'café 🚀', list: [] });
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), {});
  await library.trigger(['jobs.discovery', 'private-job.42', 'private-job.43'], 'b', '{"already":"encoded"}');
  await library.trigger('jobs.discovery', 'b', 'plain text');
  await library.trigger(['jobs.discovery', 'private-job.42'], 'end', null);
  await grows(discovery, 4);
  await grows(job, 2);
  assert.deepEqual(discovery, [{ title: 'café 🚀', list: [] }, { already: 'encoded' }, 'plain text', null]);
  assert.deepEqual(job, [{ already: 'encoded' }, null]);
});

test('a hundred channels at once', async (t) => {
  const { heard: [discovery] } = await listen(t, '.a');
  await library.trigger([...channels(99), 'jobs.discovery'], 'a', 1);
  await grows(discovery, 1);
  assert.deepEqual(discovery, [1]);
});

test('socket_id leaves one connection out', async (t) => {
  const sender = await listen(t, '.a', '.end'), other = await listen(t, '.a', '.end');
  await library.trigger(['jobs.discovery', 'private-job.42'], 'a', 1, { socket_id: sender.echo.socketId() });
  await library.triggerBatch(['jobs.discovery', 'private-job.42'].map((channel) =>
    ({ channel, name: 'a', data: 2, socket_id: sender.echo.socketId() })));
  await library.trigger(['jobs.discovery', 'private-job.42'], 'end', 'end');
  for (const list of [...sender.heard, ...other.heard]) await ends(list);
  assert.deepEqual(sender.heard, [['end'], ['end']]);
  assert.deepEqual(other.heard, [[1, 2, 'end'], [1, 2, 'end']]);
});

test('a batch', async (t) => {
  const { heard: [discovery, job] } = await listen(t, '.a', '.b');
  const answer = await library.triggerBatch([
    { channel: 'jobs.discovery', name: 'a', data: { n: 1 } },
    { channel: 'private-job.42', name: 'b', data: 'text' },
    { channel: 'jobs.discovery', name: 'b', data: { n: 2 } },
  ]);
  assert.equal(answer.status, 200);
  assert.equal(typeof await answer.json(), 'object');
  await grows(discovery, 2);
  await grows(job, 1);
  assert.deepEqual([discovery, job], [[{ n: 1 }, { n: 2 }], ['text']]);
});

test('every body that Laravel posted is accepted', async () => {
  const bodies = posted.filter(({ path }) => /events$/.test(path));
  assert.ok(bodies.length > 30);
  for (const { event, path, body } of bodies) {
    const answer = await library.post({ path: path.replace('/apps/app-id', ''), body: JSON.parse(body) });
    assert.equal(answer.status, 200, event);
  }
});

const post = (path, body) => () => library.post({ path, body });
const wrong = (options) => () => serverLibrary(daemon, options).trigger('jobs.discovery', 'a', {});
const event = { name: 'a', data: '{}', channel: 'jobs.discovery' };
const large = { ...event, data: 'x'.repeat(90 << 10) };

const channels = (length) => Array.from({ length }, (_, i) => `private-user.${i}`);

for (const [what, [request, status]] of Object.entries({
  'a wrong secret': [wrong({ secret: 'guessed' }), 401],
  'a wrong key': [wrong({ key: 'guessed' }), 401],
  'an unknown app': [wrong({ appId: 'other' }), 404],
  // The library itself lets no more than this through.
  '101 channels': [post('/events', { name: 'a', data: '{}', channels: channels(101) }), 400],
  'a batch of 11': [post('/batch_events', { batch: Array(11).fill(event) }), 400],
  'a channel name with a space': [post('/events', { ...event, channel: 'jobs discovery' }), 400],
  'a malformed socket_id': [post('/events', { ...event, socket_id: 'undefined' }), 400],
  'data over the limit': [post('/events', { ...event, data: 'x'.repeat((100 << 10) + 1) }), 413],
  'a request over the limit': [post('/batch_events', { batch: Array(4).fill(large) }), 413],
})) {
  test(`${what}: ${status}, and nobody hears it`, async (t) => {
    const { heard: [discovery] } = await listen(t, '.a', '.end');
    assert.equal(await failureOf(request()), status);
    await library.trigger('jobs.discovery', 'end', 'end');
    await ends(discovery);
    assert.deepEqual(discovery, ['end']);
  });
}
