// One node after another is restarted under load: a client reconnects once, and
// misses what was published meanwhile, and nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startCluster } from './daemon.mjs';
import { collect, connectionOf, openEcho, serverLibrary, signed, subscribed } from './echo.mjs';
import { eventually } from './process.mjs';
import { startRedis } from './redis.mjs';

const CLIENTS = 60, PAUSE_MS = 20;

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
async function follow(t, cluster, sources, id, restarts) {
  const echo = openEcho(t, cluster, signed({ user_id: String(id) }));
  const client = { echo, id, disconnects: 0, delays: 0, heard: {}, absences: {} };
  client.room = echo.join('room.5').here((members) => (client.here = members.length));
  const channels = Object.keys(sources).map((name) => {
    const channel = echo.private(name);
    client.heard[name] = collect(channel, '.n');
    client.absences[name] = [];
    return channel;
  });
  await subscribed(client.room, ...channels);
  for (const [i, name] of Object.keys(sources).entries()) {
    // What was published before the restart, it has heard; and what is begun
    // after it is in again, it will hear.
    channels[i].subscription.bind('pusher:subscription_succeeded', () =>
      client.absences[name].push({ after: restarts.at(-1)[name], before: sources[name].begun + 1 }));
  }
  const connection = connectionOf(echo);
  connection.bind('state_change', ({ previous }) => previous === 'connected' && client.disconnects++);
  connection.bind('connecting_in', () => client.delays++); // it found nobody at once
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
  const library = serverLibrary(cluster);

  const sources = { http: { begun: 0 }, redis: { begun: 0 } }, restarts = [];
  const clients = await Promise.all(Array.from({ length: CLIENTS },
    (_, i) => follow(t, cluster, sources, i + 1, restarts)));
  Object.assign(sources, {
    http: startSource((n) => library.trigger('private-http', 'n', n)),
    redis: startSource((n) => redis.publish('laravel-database-private-redis',
      JSON.stringify({ event: 'n', data: n, socket: null }))),
  });
  const allHear = (last) => eventually(`all hear ${JSON.stringify(last)}`, () =>
    clients.every(({ heard }) => Object.entries(last).every(([name, n]) => heard[name].at(-1) >= n)));

  for (const node of cluster.nodes) {
    const done = { http: sources.http.done, redis: sources.redis.done };
    await allHear(done);
    restarts.push(done);
    const before = clients.map(({ disconnects }) => disconnects);
    const here = await node.metric('broadcastd_connections{app="app-id"}');
    assert.ok(here > 0, 'the node has clients');
    await node.stop();
    await eventually('its clients are back', () =>
      clients.filter(({ disconnects }, i) => disconnects > before[i]).length === here &&
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
  for (const { id, disconnects, delays } of clients) {
    assert.ok(disconnects <= cluster.nodes.length, `client ${id} lost ${disconnects} connections`);
    assert.equal(delays, 0, `client ${id} did not get in at once`);
  }
  await eventually('every client sees all members', () =>
    clients.every(({ room }) => room.subscription.members.count === CLIENTS));
  const { users } = await (await library.get({ path: '/channels/presence-room.5/users' })).json();
  assert.equal(users.length, CLIENTS);
});
