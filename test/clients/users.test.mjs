// Users who sign in: events for them, who watches them, and their connections' end.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { startApi } from './api.mjs';
import { startDaemon } from './daemon.mjs';
import {
  askDaemon, becomes, errorsOf, grows, messagesOf, openEcho, pusherOf, serverLibrary, signed,
  subscribed,
} from './echo.mjs';
import { eventually } from './process.mjs';

const ZOE = { id: '7', user_info: { name: 'Zoë "Client" O\'Neil' } };
const TOKEN = 'token-client-7';

const daemon = await startDaemon({ after });
const library = serverLibrary(daemon);

/** Waits until a client is signed in and hears its user's events. */
const signedIn = (echo) => eventually('a client is signed in',
  () => pusherOf(echo).user.serverToUserChannel?.subscribed);

/** Echo's options for who the app's back end says, and signs, that the client is. */
const signedUser = (user) => ({
  ...signed({ user_id: user.id }),
  userAuthentication: {
    customHandler: ({ socketId }, done) => done(null, library.authenticateUser(socketId, user)),
  },
});

/** Opens a client that signs in, and collects events of its user. */
async function signIn(t, options, at = daemon) {
  const echo = openEcho(t, at, options);
  const heard = [];
  for (const event of ['wallet.updated', 'end']) {
    pusherOf(echo).user.bind(event, (data) => heard.push(data));
  }
  echo.connector.signin();
  await signedIn(echo);
  return { echo, heard };
}

/** The status with which a subscription that pusher-js itself would not send is refused. */
async function refusal(echo, channel) {
  const messages = messagesOf(echo);
  pusherOf(echo).send_event('pusher:subscribe', { channel });
  const { data } = await eventually('a refusal', () =>
    messages.find((message) => message.event === 'pusher:subscription_error' && message.channel === channel));
  return data.status;
}

/** Collects what a client's watchlist tells: [online or offline, ids]. */
function watch(echo) {
  const seen = [];
  for (const name of ['online', 'offline']) {
    pusherOf(echo).user.watchlist.bind(name, ({ user_ids: ids }) => seen.push([name, ids]));
  }
  return seen;
}

for (const driver of ['redis', 'reverb']) {
  test(`signing in by the daemon, with Laravel's ${driver} driver`, async (t) => {
    const api = await startApi(t, driver);
    const own = await startDaemon(t, { auth: { endpoint: api.url, user_endpoint: api.userUrl } });
    const { echo: zoe, heard } = await signIn(t, askDaemon(own, TOKEN), own);
    assert.deepEqual(pusherOf(zoe).user.user_data, ZOE);
    const { accept, authorization } = api.requests.at(-1);
    assert.deepEqual([accept, authorization], ['application/json', `Bearer ${TOKEN}`]);

    const phone = await signIn(t, askDaemon(own, TOKEN), own);
    const { heard: byJose } = await signIn(t, signedUser({ id: '9' }), own);
    const publisher = serverLibrary(own);
    const event = { balance: '120.50', text: 'José 李雷 👋' };
    await publisher.sendToUser('7', 'wallet.updated', event);
    await publisher.sendToUser('9', 'end', 'end');
    for (const list of [heard, phone.heard, byJose]) await grows(list, 1);
    assert.deepEqual([heard, phone.heard, byJose], [[event], [event], ['end']]);
  });

  test(`who is not known is not signed in, with Laravel's ${driver} driver`, async (t) => {
    const api = await startApi(t, driver);
    const own = await startDaemon(t, { auth: { user_endpoint: api.userUrl } });
    const errors = [];
    const { userAuthentication: { endpoint } } = askDaemon(own, TOKEN);
    const nobody = openEcho(t, own, { userAuthentication: { endpoint, headers: {} } });
    pusherOf(nobody).user.bind('pusher:signin_error', (error) => errors.push(error));
    nobody.connector.signin();
    await grows(errors, 1);
    assert.deepEqual([errors[0].type, errors[0].status], ['AuthError', 401]);
    assert.equal(nobody.connectionStatus(), 'connected');
  });
}

test('signed in again after a reconnect', async (t) => {
  const { echo, heard } = await signIn(t, signedUser(ZOE));
  const before = echo.socketId();
  echo.disconnect();
  await becomes(echo, 'disconnected');
  pusherOf(echo).connect();
  await becomes(echo, 'connected');
  await signedIn(echo);
  assert.notEqual(echo.socketId(), before);
  await library.sendToUser('7', 'wallet.updated', 'again');
  await grows(heard, 1);
  assert.deepEqual(heard, ['again']);
});

test('a forged sign-in is refused', async (t) => {
  const forged = { auth: `app-key:${'0'.repeat(64)}`, user_data: '{"id":"7"}' };
  const echo = openEcho(t, daemon, { userAuthentication: { customHandler: (_, done) => done(null, forged) } });
  const errors = errorsOf(echo);
  echo.connector.signin();
  await grows(errors, 1);
  assert.deepEqual(errors, [4009]);
  assert.equal(echo.connectionStatus(), 'connected');
  assert.equal(await refusal(echo, '#server-to-user-7'), 403);
});

test('a user\'s events are for those who signed in as the user', async (t) => {
  const stranger = openEcho(t, daemon);
  const { echo: nine } = await signIn(t, signedUser({ id: '9' }));
  const { heard } = await signIn(t, signedUser(ZOE));
  const messages = [stranger, nine].map(messagesOf);
  await becomes(stranger, 'connected');

  assert.equal(await refusal(stranger, '#server-to-user-7'), 403);
  assert.equal(await refusal(nine, '#server-to-user-7'), 403);
  const errors = errorsOf(nine);
  pusherOf(nine).send_event('client-forged', 'forged', '#server-to-user-7');
  await grows(errors, 1);

  for (const client of [stranger, nine]) await subscribed(client.channel('jobs.discovery'));
  await library.sendToUser('7', 'wallet.updated', 'secret');
  await library.trigger('jobs.discovery', 'end', null);
  await grows(heard, 1);
  for (const list of messages) {
    await eventually('the last event', () => list.at(-1)?.event === 'end');
    assert.ok(!list.some(({ event }) => event === 'wallet.updated'));
  }
  assert.deepEqual(heard, ['secret']);
});

test('a watchlist: who is online, comes and goes, a user with two connections once', async (t) => {
  const { echo: twelve } = await signIn(t, signedUser({ id: 'w-12' }));
  const watcher = openEcho(t, daemon, signedUser({ id: 'w-7', watchlist: ['w-9', 'w-12', 'w-15'] }));
  const seen = watch(watcher);
  watcher.connector.signin();
  await grows(seen, 1);
  const { echo: first } = await signIn(t, signedUser({ id: 'w-9' }));
  await grows(seen, 2);
  const { echo: second } = await signIn(t, signedUser({ id: 'w-9' }));
  await signIn(t, signedUser({ id: 'w-unwatched' }));
  first.disconnect();
  twelve.disconnect();
  await grows(seen, 3);
  second.disconnect();
  await grows(seen, 4);
  pusherOf(second).connect();
  await grows(seen, 5);
  await library.terminateUserConnections('w-9');
  await grows(seen, 6);
  assert.deepEqual(seen, [
    ['online', ['w-12']], ['online', ['w-9']], ['offline', ['w-12']],
    ['offline', ['w-9']], ['online', ['w-9']], ['offline', ['w-9']],
  ]);
});

test('a watchlist that is too long: the first 100 are watched', async (t) => {
  const ids = Array.from({ length: 101 }, (_, i) => `long-${i}`);
  for (const id of [ids[99], ids[100]]) await signIn(t, signedUser({ id }));
  const watcher = openEcho(t, daemon, signedUser({ id: 'long', watchlist: ids }));
  const seen = watch(watcher), messages = messagesOf(watcher);
  watcher.connector.signin();
  await signedIn(watcher);
  await grows(seen, 1);
  assert.deepEqual(seen, [['online', ['long-99']]]);
  const error = messages.find(({ event }) => event === 'pusher:error');
  assert.equal(error.data.code, 4302);
  assert.equal(watcher.connectionStatus(), 'connected');
});

test('a user\'s connections are ended, and pusher-js does not come back', async (t) => {
  const user = { id: 'ann@example.com' };
  const clients = [
    (await signIn(t, signedUser(user))).echo,
    (await signIn(t, signedUser(user))).echo,
    openEcho(t, daemon, signed({ user_id: user.id })), // a member who hasn't signed in, as Reverb counts
  ];
  await subscribed(clients[2].join('room.5'));
  const { echo: other, heard } = await signIn(t, signedUser({ id: 'other' }));
  const errors = clients.map(errorsOf);
  const opened = 'broadcastd_connections_total{app="app-id"}';
  const before = await daemon.metric(opened);

  await library.terminateUserConnections(user.id);
  for (const [i, echo] of clients.entries()) {
    await becomes(echo, 'disconnected');
    assert.deepEqual(new Set(errors[i]), new Set([4009]));
  }
  await library.sendToUser('other', 'end', 'end');
  await grows(heard, 1);
  assert.equal(other.connectionStatus(), 'connected');
  assert.equal(await daemon.metric(opened), before);
  const answer = await library.terminateUserConnections('nobody');
  assert.deepEqual([answer.status, await answer.json()], [200, {}]);

  // They may, though: it ends connections, and bans nobody.
  pusherOf(clients[0]).connect();
  await signedIn(clients[0]);
});
