// deploy/nginx/cluster.conf, in front of three nodes.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startCluster } from './daemon.mjs';
import { becomes, collect, grows, openEcho, serverLibrary, signed, subscribed } from './echo.mjs';
import { eventually } from './process.mjs';
import { startNginx } from './proxies.mjs';

test('clients are spread over the nodes, and find another when one dies', async (t) => {
  const cluster = await startCluster(t, 3);
  const names = cluster.nodes.map((node, i) => [`server broadcastd-${i + 1}:8080 `, `server 127.0.0.1:${node.port} `]);
  const nginx = await startNginx(t, 'nginx/cluster.conf', (port) => [['listen 8080;', `listen 127.0.0.1:${port};`], ...names]);
  const clients = [];
  for (let i = 0; i < 9; i++) {
    const echo = openEcho(t, nginx, signed({ user_id: String(i) }));
    const room = echo.join('room.5'), heard = collect(room, '.job.updated');
    await subscribed(room);
    clients.push({ echo, room, heard });
  }
  const connections = 'broadcastd_connections{app="app-id"}';
  for (const node of cluster.nodes) assert.equal(await node.metric(connections), 3);
  await eventually('all see each other', () =>
    clients.every(({ room }) => room.subscription.members.count === clients.length));

  const library = serverLibrary(nginx);
  await library.trigger('presence-room.5', 'job.updated', 1);
  for (const { heard } of clients) await grows(heard, 1);

  const before = clients.map(({ echo }) => echo.socketId());
  await cluster.nodes[0].kill();
  await eventually('its clients have new connections', () =>
    clients.filter(({ echo }, i) => echo.socketId() && echo.socketId() !== before[i]).length === 3);
  for (const { echo, room } of clients) {
    await becomes(echo, 'connected');
    await subscribed(room);
  }
  for (let i = 2; i <= 4; i++) { // each request by the next node
    await library.trigger('presence-room.5', 'job.updated', i);
  }
  for (const { heard } of clients) {
    await grows(heard, 4);
    assert.deepEqual(heard, [1, 2, 3, 4]);
  }
  assert.equal(await cluster.nodes[1].metric(connections) + await cluster.nodes[2].metric(connections), 9);
});
