// Compression, with a WebSocket library that offers it as browsers do.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';

import WebSocket from 'ws';

import { startDaemon } from './daemon.mjs';
import { collect, ends, openEcho, serverLibrary, signed, subscribed } from './echo.mjs';
import { eventually } from './process.mjs';

const text = Array.from({ length: 100 }, (_, i) => `${i} pigeons on the café's roof, `).join('');

/** Opens a socket that offers compression, and compresses all that it sends if it may. */
async function openCompressing(t, { port }) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/app/app-key?protocol=7`, { perMessageDeflate: { threshold: 0 } });
  t.after(() => socket.terminate());
  const messages = [];
  socket.on('message', (message) => messages.push(JSON.parse(message)));
  let wire;
  socket.on('upgrade', (response) => (wire = response.socket));
  await once(socket, 'open');
  return {
    extensions: socket.extensions,
    send: (message) => socket.send(JSON.stringify(message)),
    hears: (event) => eventually(event, () => messages.find((message) => message.event === event)),
    /** Bytes that came so far. */
    received: () => wire.bytesRead,
  };
}

test('a large event: compressed for who offered it, the same for all', async (t) => {
  const daemon = await startDaemon(t, { app: { compression: true } });
  const socket = await openCompressing(t, daemon);
  assert.equal(socket.extensions, 'permessage-deflate');
  const echo = openEcho(t, daemon); // pusher-js in Node doesn't offer it
  const heard = collect(echo.channel('jobs'), '.posted');
  await subscribed(echo.channel('jobs'));
  socket.send({ event: 'pusher:subscribe', data: { channel: 'jobs' } });
  await socket.hears('pusher_internal:subscription_succeeded');

  const before = socket.received();
  await serverLibrary(daemon).trigger('jobs', 'posted', { text });
  const event = await socket.hears('posted');
  assert.deepEqual(JSON.parse(event.data), { text });
  await eventually('the event without compression', () => heard.length === 1);
  assert.deepEqual(heard, [{ text }]);
  const bytes = socket.received() - before;
  assert.ok(bytes < text.length / 2, `${text.length} characters came in ${bytes} bytes`);
});

test('compressed whispers: Echo hears them, and answers', async (t) => {
  const daemon = await startDaemon(t, { app: { compression: true } });
  const socket = await openCompressing(t, daemon);
  const echo = openEcho(t, daemon, signed());
  const job = echo.private('job.42'), heard = collect(job, '.client-typing');
  await subscribed(job);
  const { socket_id } = JSON.parse((await socket.hears('pusher:connection_established')).data);
  const { auth } = serverLibrary(daemon).authorizeChannel(socket_id, 'private-job.42');
  socket.send({ event: 'pusher:subscribe', data: { channel: 'private-job.42', auth } });
  await socket.hears('pusher_internal:subscription_succeeded');

  for (const data of ['é', text, 'end']) socket.send({ event: 'client-typing', channel: 'private-job.42', data });
  await ends(heard);
  assert.deepEqual(heard, ['é', text, 'end']);
  job.whisper('answer', text);
  assert.equal((await socket.hears('client-answer')).data, text);
});

test('without the option nothing is agreed on, and all is as ever', async (t) => {
  const daemon = await startDaemon(t);
  const socket = await openCompressing(t, daemon);
  assert.equal(socket.extensions, '');
  socket.send({ event: 'pusher:subscribe', data: { channel: 'jobs' } });
  await socket.hears('pusher_internal:subscription_succeeded');
  const before = socket.received();
  await serverLibrary(daemon).trigger('jobs', 'posted', { text });
  await socket.hears('posted');
  assert.ok(socket.received() - before > text.length);
});
