// One node after another is restarted under load: a client reconnects once, and
// misses what was published meanwhile, and nothing else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';

import { startCluster } from './daemon.mjs';
import { collect, connectionOf, openEcho, serverLibrary, signed, subscribed } from './echo.mjs';
import { eventually } from './process.mjs';
import { startRedis } from './redis.mjs';

const CLIENTS = 60, PAUSE_MS = 20;

/** How many events may be on their way to a client when it is disconnected. */
const ON_THE_WAY = 10;

/** Publishes 1, 2, 3 and so on, one after the other, until it is told to stop. */
function startSource(publish) {
  const source = { begun: 0, done: 0, stop: () => ((ending = true), ended) };
  let ending = false;
  const ended = (async () => {
    while (!ending) {
      await publish(++source.begun);
      source.done = source.begun;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  })();
  ended.catch(() => {}); // whoever stops it learns it
  return source;
}

/** Opens a client that writes down what it hears of each source, and which events it may miss. */
async function follow(t, cluster, sources, id) {
  const echo = openEcho(t, cluster, signed({ user_id: String(id) }));
  const client = { echo, id, away: [], heard: {}, absences: {} };
  client.room = echo.join('room.5');
  const channels = Object.keys(sources).map((name) => {
    const channel = echo.private(name);
    client.heard[name] = collect(channel, '.n');
    client.absences[name] = [];
    return channel;
  });
  await subscribed(client.room, ...channels);
  for (const [i, name] of Object.keys(sources).entries()) {
    // What is begun once it is in again, it will hear.
    channels[i].subscription.bind('pusher:subscription_succeeded', () =>
      client.absences[name].push({ after: done[name] - ON_THE_WAY, before: sources[name].begun + 1 }));
  }
  const connection = connectionOf(echo);
  let left;
  const done = {}; // before it was disconnected
  connection.bind('state_change', ({ previous, current }) => {
    if (current === 'unavailable') client.unavailable = true;
    if (previous === 'connected') {
      left = performance.now();
      for (const [name, source] of Object.entries(sources)) done[name] = source.done;
    }
    if (current === 'connected') client.away.push(performance.now() - left);
  });
  client.isBack = () => connection.state === 'connected' &&
    [client.room, ...channels].every((channel) => channel.subscription.subscribed);
  return client;
}

/** Asserts that a client heard everything in order and once, but for its absences; returns how many it missed. */
function missed({ id, heard, absences }, name, last) {
  const list = heard[name], whose = `client ${id}, ${name}`;
  for (const [i, n] of list.entries()) assert.ok(i === 0 || list[i - 1] < n, `${whose}: ${n} after ${list[i - 1]}`);
  const has = new Set(list);
  const lost = Array.from({ length: last }, (_, i) => i + 1).filter((n) => !has.has(n));
  for (const n of lost) {
    assert.ok(absences[name].some(({ after, before }) => after < n && n < before),
      `${whose}: ${n} is missing, away for ${JSON.stringify(absences[name])}`);
  }
  return lost.length;
}

test('a rolling restart: everybody is back at once', async (t) => {
  const redis = await startRedis(t);
  const cluster = await startCluster(t, 3, { redis: { url: redis.url } });
  // A connection for each request, as PHP has it.
  const library = serverLibrary(cluster, { agent: new http.Agent({ keepAlive: false }) });

  const sources = { http: {}, redis: {} };
  const clients = await Promise.all(Array.from({ length: CLIENTS },
    (_, i) => follow(t, cluster, sources, i + 1)));
  Object.assign(sources, {
    http: startSource((n) => library.trigger('private-http', 'n', n)),
    redis: startSource((n) => redis.publish('laravel-database-private-redis',
      JSON.stringify({ event: 'n', data: n, socket: null }))),
  });
  const allHear = (last) => eventually(`all hear ${JSON.stringify(last)}`, () =>
    clients.every(({ heard }) => Object.entries(last).every(([name, n]) => heard[name].at(-1) >= n)));

  for (const node of cluster.nodes) {
    await allHear({ http: sources.http.done + 20, redis: sources.redis.done + 20 });
    const before = clients.map(({ away }) => away.length);
    const here = await node.metric('broadcastd_connections{app="app-id"}');
    assert.ok(here > 0, 'the node has clients');
    // A request that doesn't come to its end holds the node's up; its clients
    // are connected meanwhile, and hear everything.
    const request = net.connect(node.port, '127.0.0.1').on('error', () => {});
    request.write('POST /apps/app-id/events HTTP/1.1\r\n');
    t.after(() => request.destroy());
    await once(request, 'connect');
    await fetch(`http://127.0.0.1:${node.port}/up`); // connections are taken in their order
    await node.stop();
    await eventually('its clients are back', () =>
      clients.filter(({ away }, i) => away.length > before[i]).length === here &&
      clients.every((client) => client.isBack()));
    await node.start();
  }

  const last = {};
  for (const [name, source] of Object.entries(sources)) {
    await source.stop();
    last[name] = source.done;
  }
  await allHear(last);
  for (const [name, n] of Object.entries(last)) {
    const counts = clients.map((client) => missed(client, name, n));
    t.diagnostic(`${name}: ${n} events; a client missed ${Math.max(...counts)} at most`);
  }
  for (const { id, away, unavailable } of clients) {
    assert.ok(away.length <= cluster.nodes.length, `client ${id} lost ${away.length} connections`);
    assert.ok(!unavailable, `client ${id} was without a connection for so long that pusher-js said so`);
  }
  const longest = Math.max(...clients.flatMap(({ away }) => away));
  t.diagnostic(`a client was off for ${Math.round(longest)} ms at most`);
  await eventually('every client sees all members', () =>
    clients.every(({ room }) => room.subscription.members.count === CLIENTS));
  const { users } = await (await library.get({ path: '/channels/presence-room.5/users' })).json();
  assert.equal(users.length, CLIENTS);
});
