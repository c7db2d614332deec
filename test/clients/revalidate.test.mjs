// Rights that end: the API is asked again about what it granted, and what Echo
// and pusher-js make of its no.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startApi } from './api.mjs';
import { startDaemon } from './daemon.mjs';
import { askDaemon, collect, grows, openEcho, refused, serverLibrary, signed, subscribed } from './echo.mjs';
import { eventually } from './process.mjs';

const NO = (request, form, response) => response.writeHead(403).end('{}');

test('a right that ends is an error() to Echo, and nothing is heard from then on', async (t) => {
  const api = await startApi(t);
  const daemon = await startDaemon(t, { auth: { endpoint: api.url, revalidate: '1s' } });
  // A client's requests have to come to the node that has its connection.
  const [node] = daemon.nodes;
  const echo = openEcho(t, node, askDaemon(node, 'token-client-7'));
  const library = serverLibrary(node);

  const job = echo.private('job.42'), claims = collect(job, '.job.claimed');
  const room = echo.join('room.5'), open = echo.channel('open'), news = collect(open, '.news');
  const left = [];
  const other = openEcho(t, node, signed()).join('room.5').leaving((member) => left.push(member));
  const others = collect(other, '.job.claimed');
  await subscribed(job, room, open, other);
  const trigger = () => library.trigger(['private-job.42', 'presence-room.5'], 'job.claimed', { id: 42 });
  await trigger();
  await Promise.all([grows(claims, 1), grows(others, 1)]);

  const asRecorded = api.answer, ends = [job, room].map((channel) => new Promise((resolve) => channel.error(resolve)));
  api.answer = NO;
  for (const { type, error, status } of await Promise.all(ends)) {
    assert.equal(type, 'AuthError');
    assert.match(error, /^the subscription has ended: /);
    assert.equal(status, 403);
  }
  await grows(left, 1);
  assert.equal(left[0].id, 7);
  await trigger();
  await library.trigger('open', 'news', {});
  await Promise.all([grows(others, 2), grows(news, 1)]); // behind the others, on the same connection
  assert.equal(claims.length, 1);
  assert.equal(echo.connectionStatus(), 'connected');

  // Who left the channel may try again.
  echo.leave('job.42');
  assert.equal(await refused(echo.private('job.42')), 403);
  echo.leave('job.42');
  api.answer = asRecorded;
  const regained = echo.private('job.42'), more = collect(regained, '.job.claimed');
  await subscribed(regained);
  await trigger();
  await grows(more, 1);
});

test('an API that is away takes nothing away', async (t) => {
  const api = await startApi(t);
  const daemon = await startDaemon(t, { auth: { endpoint: api.url, revalidate: '1s' } });
  const [node] = daemon.nodes;
  const echo = openEcho(t, node, askDaemon(node, 'token-client-7'));
  const job = echo.private('job.42'), claims = collect(job, '.job.claimed');
  await subscribed(job);
  api.stop();
  await eventually('the API was asked in vain', async () =>
    (await node.metric('broadcastd_auth_revalidations_total{result="unsure"}')) >= 1);
  await serverLibrary(node).trigger('private-job.42', 'job.claimed', { id: 42 });
  await grows(claims, 1);
});
