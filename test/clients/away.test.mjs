// Two nodes whose Redis goes away: what an API hears, and what clients notice.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startCluster } from './daemon.mjs';
import { collect, connectionOf, grows, openEcho, serverLibrary, signed, subscribed } from './echo.mjs';
import { eventually } from './process.mjs';
import { startRedis } from './redis.mjs';

test('without Redis: 503 for the API, and clients stay, whisper and join', async (t) => {
  const redis = await startRedis(t);
  const daemon = await startCluster(t, 2, { redis: { url: redis.url } });
  const [node] = daemon.nodes;
  const library = serverLibrary(daemon);
  const open = (id, port = node.port) => openEcho(t, { port }, signed({ user_id: id, user_info: { id } }));
  const [ann, bob, cid] = [open('ann'), open('bob'), open('cid', daemon.nodes[1].port)];

  const room = ann.join('room.5'), heard = collect(room, '.job.posted'), typed = [], came = [];
  room.listenForWhisper('typing', (data) => typed.push(data)).joining(({ id }) => came.push(id));
  await subscribed(room, cid.join('room.5'), bob.join('room.5'));
  await library.trigger('presence-room.5', 'job.posted', 1);
  await grows(heard, 1);
  const socket = ann.socketId();

  await redis.kill();
  await daemon.becomes('degraded');
  const failure = await library.trigger('presence-room.5', 'job.posted', 2).then(() => null, (error) => error);
  assert.equal(failure?.status, 503);
  assert.match(JSON.parse(failure.body).error, /^none of the events was kept, .*send the request again$/);
  bob.join('room.5').whisper('typing', 'still here');
  await grows(typed, 1);
  const dan = open('dan'), members = [];
  await subscribed(dan.join('room.5').here((all) => members.push(...all.map(({ id }) => id))));
  assert.deepEqual(members.sort(), ['ann', 'bob', 'cid', 'dan'], 'the roster that the node knows');
  await eventually('the others hear of who came', () => came.includes('dan'));

  await redis.start();
  await daemon.becomes('ready');
  await library.trigger('presence-room.5', 'job.posted', 3);
  await grows(heard, 2);
  assert.deepEqual(heard, [1, 3]);
  assert.equal(connectionOf(ann).state, 'connected');
  assert.equal(ann.socketId(), socket, 'the client stayed connected');
});
