// Pusher's server library asks what is in the channels.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { startDaemon } from './daemon.mjs';
import { becomes, openEcho, pusherOf, serverLibrary, signed, subscribed } from './echo.mjs';
import { eventually } from './process.mjs';

const daemon = await startDaemon({ after }, { app: { subscription_count: true } });
const library = serverLibrary(daemon);

/** What the daemon answers to a GET. */
const ask = async (path, params) => (await library.get({ path, params })).json();

/** The status with which a request is refused, whose answer is one line in JSON. */
const refusal = (request) => request.then(() => assert.fail('was answered'), (error) => {
  assert.match(JSON.parse(error.body).error, /^[^\n]+$/);
  return error.status;
});

/** Two connections of one user and one of another, in channels of all kinds. */
async function visit(t) {
  const clients = ['7', '7', '9'].map((id) => openEcho(t, daemon, signed({ user_id: id })));
  for (const echo of clients) {
    await subscribed(echo.channel('jobs.discovery'), echo.private('job.42'), echo.join('room.5'));
  }
  await subscribed(clients[0].join('room.6'), clients[0].channel('cache-jobs'));
  return clients;
}

const ROOMS = { 'presence-room.5': { user_count: 2 }, 'presence-room.6': { user_count: 1 } };

test('which channels there are, and who is in them', async (t) => {
  assert.deepEqual(await ask('/channels'), { channels: {} });
  const clients = await visit(t);

  for (const [params, channels] of [
    [{}, {
      'jobs.discovery': {}, 'private-job.42': {}, 'presence-room.5': {}, 'presence-room.6': {}, 'cache-jobs': {},
    }],
    [{ filter_by_prefix: 'presence-' }, { 'presence-room.5': {}, 'presence-room.6': {} }],
    [{ filter_by_prefix: 'presence-', info: 'user_count' }, ROOMS],
    [{ filter_by_prefix: 'presence-room.6', info: 'user_count,subscription_count' },
      { 'presence-room.6': { user_count: 1, subscription_count: 1 } }],
    [{ filter_by_prefix: 'jobs', info: 'subscription_count' }, { 'jobs.discovery': { subscription_count: 3 } }],
    [{ filter_by_prefix: 'nothing-' }, {}],
  ]) assert.deepEqual(await ask('/channels', params), { channels }, JSON.stringify(params));

  for (const [name, info, answer] of [
    ['jobs.discovery', '', { occupied: true }],
    ['jobs.discovery', 'subscription_count', { occupied: true, subscription_count: 3 }],
    ['private-job.42', 'subscription_count', { occupied: true, subscription_count: 3 }],
    ['presence-room.5', 'user_count,subscription_count', { occupied: true, user_count: 2, subscription_count: 3 }],
    ['cache-jobs', 'subscription_count,cache', { occupied: true, subscription_count: 1 }],
    ['presence-nobody', 'user_count,subscription_count', { occupied: false, user_count: 0, subscription_count: 0 }],
  ]) assert.deepEqual(await ask(`/channels/${name}`, { info }), answer, `${name} ${info}`);

  const { users } = await ask('/channels/presence-room.5/users');
  assert.deepEqual(users.sort((a, b) => a.id - b.id), [{ id: '7' }, { id: '9' }]);
  assert.deepEqual(await ask('/channels/presence-nobody/users'), { users: [] });
  assert.deepEqual(await ask('/connections'), { connections: 3 }, 'as Reverb has it');

  for (const echo of clients) echo.disconnect();
  await eventually('all have left', async () => (await ask('/connections')).connections === 0);
  assert.deepEqual(await ask('/channels'), { channels: {} });
});

for (const [what, path, params] of [
  ['user_count of all channels', '/channels', { info: 'user_count' }],
  ['user_count of a private channel', '/channels/private-job.42', { info: 'user_count' }],
  ['cache of a public channel', '/channels/jobs.discovery', { info: 'cache' }],
  ['users of a public channel', '/channels/jobs.discovery/users', {}],
  ['a name that no channel can have', '/channels/jobs!', {}],
]) {
  test(`${what}: 400`, async () => assert.equal(await refusal(library.get({ path, params })), 400));
}

test('a wrong secret: 401', async () => {
  const guessing = serverLibrary(daemon, { secret: 'guessed' });
  for (const path of ['/channels', '/channels/jobs.discovery', '/channels/presence-room.5/users', '/connections']) {
    assert.equal(await refusal(guessing.get({ path })), 401, path);
  }
  assert.equal(await refusal(guessing.terminateUserConnections('7')), 401);
});

test('an event that asks what its channels are', async (t) => {
  await visit(t);
  const info = 'user_count,subscription_count';
  const one = await library.trigger('jobs.discovery', 'job.posted', {}, { info: 'subscription_count' });
  assert.deepEqual(await one.json(), { channels: { 'jobs.discovery': { subscription_count: 3 } } });
  const several = await library.trigger(
    ['jobs.discovery', 'presence-room.5', 'private-nobody'], 'job.posted', {}, { info });
  assert.deepEqual(await several.json(), { channels: {
    'jobs.discovery': { subscription_count: 3 },
    'presence-room.5': { user_count: 2, subscription_count: 3 },
    'private-nobody': { subscription_count: 0 },
  } });
  const batch = await library.triggerBatch([
    { channel: 'presence-room.5', name: 'job.posted', data: {}, info },
    { channel: 'jobs.discovery', name: 'job.posted', data: {} },
    { channel: 'private-job.42', name: 'job.posted', data: {}, info: 'subscription_count' },
  ]);
  assert.deepEqual(await batch.json(), { batch: [
    { user_count: 2, subscription_count: 3 }, {}, { subscription_count: 3 },
  ] });
});

test('subscription_count: clients hear how many they are', async (t) => {
  const clients = [openEcho(t, daemon, signed()), openEcho(t, daemon, signed()), openEcho(t, daemon, signed())];
  const counts = [];
  const join = async (echo) => {
    const channel = echo.private('counted'), room = echo.join('counted');
    const list = [];
    channel.subscription.bind('pusher:subscription_count', (data) => list.push(data.subscription_count));
    room.subscription.bind('pusher:subscription_count', (data) => list.push(data));
    counts.push(list);
    await subscribed(channel, room);
  };
  const latest = (n) => eventually(`${n} subscribers`,
    () => pusherOf(clients[0]).channel('private-counted').subscriptionCount === n);
  for (const [i, echo] of clients.entries()) {
    await join(echo);
    await latest(i + 1);
  }
  clients[1].leave('counted');
  await latest(2);
  clients[2].disconnect();
  await becomes(clients[2], 'disconnected');
  await latest(1);
  assert.deepEqual(counts, [[1, 2, 3, 2, 1], [2, 3], [3, 2]], 'not in presence channels');
});

test('subscription_count is off unless set', async (t) => {
  const own = await startDaemon(t);
  const echo = openEcho(t, own);
  const channel = echo.channel('counted');
  const heard = [];
  channel.subscription.bind_global((event) => heard.push(event));
  await subscribed(channel);
  await serverLibrary(own).trigger('counted', 'end', null);
  await eventually('the last event', () => heard.at(-1) === 'end');
  assert.deepEqual(heard, ['pusher:subscription_succeeded', 'end']);
});
