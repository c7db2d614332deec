import Echo from 'laravel-echo';
import Pusher from 'pusher';
import PusherClient from 'pusher-js';

import { ENCRYPTION_MASTER_KEY } from './fixtures.mjs';
import { eventually } from './process.mjs';

// pusher-js closes a socket that the server has closed once more, and its
// WebSocket then waits 30 s for an answer. That must not keep the process alive.
const webSocket = PusherClient.Runtime.getWebSocketAPI().prototype, { close } = webSocket;
webSocket.close = function (...args) {
  close.apply(this, args);
  this._closeTimer?.unref();
};

/**
 * Opens an Echo client as Laravel's own set-up does for Reverb.
 * @param {import('node:test').TestContext} t with which it ends
 * @param {{port: number}} daemon
 * @param {object} [options] of Echo and pusher-js
 */
export function openEcho(t, daemon, options = {}) {
  const echo = new Echo({
    broadcaster: 'reverb',
    Pusher: PusherClient,
    key: 'app-key',
    wsHost: '127.0.0.1',
    wsPort: daemon.port,
    forceTLS: false,
    enabledTransports: ['ws'],
    auth: { headers: {} }, // Echo's default is one object for all clients
    ...options,
  });
  t.after(() => echo.disconnect());
  return echo;
}

/** Echo's options for what the daemon has signed, subscriptions and sign-ins: with a token, as a user. */
export const askDaemon = (daemon, token) => ({
  authEndpoint: `http://127.0.0.1:${daemon.port}/broadcasting/auth`,
  auth: { headers: { Authorization: `Bearer ${token}` } },
  userAuthentication: {
    endpoint: `http://127.0.0.1:${daemon.port}/broadcasting/user-auth`,
    headers: { Authorization: `Bearer ${token}` },
  },
});

/** Echo's options for subscriptions that the app's back end signs, as whatever member. */
export const signed = (member = { user_id: '1', user_info: { name: 'Ada' } }) => ({
  authorizer: ({ name }) => ({
    authorize(socketId, done) {
      done(null, encryptingLibrary({ port: 0 }).authorizeChannel(socketId, name, member));
    },
  }),
});

/** Pusher's server library, set up for the daemon. */
export const serverLibrary = ({ port }, options = {}) =>
  new Pusher({ appId: 'app-id', key: 'app-key', secret: 'app-secret', host: '127.0.0.1', port, ...options });

/** Pusher's server library with the key of encrypted channels. */
export const encryptingLibrary = (daemon, key = ENCRYPTION_MASTER_KEY) =>
  serverLibrary(daemon, { encryptionMasterKeyBase64: key });

/** The pusher-js client below Echo. */
export const pusherOf = (echo) => echo.connector.pusher;

/** The connection of pusher-js below Echo. */
export const connectionOf = (echo) => pusherOf(echo).connection;

/** Waits for a connection to be in a state: connected, disconnected, failed. */
export const becomes = (echo, state) =>
  eventually(`an Echo client is ${state}`, () => connectionOf(echo).state === state);

/** Waits until Echo channels are subscribed to. */
export const subscribed = (...channels) =>
  eventually(`subscriptions to ${channels.map((channel) => channel.name)}`,
    () => channels.every((channel) => channel.subscription.subscribed));

/** Waits for the HTTP status with which an Echo channel is refused. */
export const refused = (channel) => new Promise((resolve, reject) => {
  channel.error(({ status }) => resolve(status));
  channel.subscribed(() => reject(new Error(`${channel.name} was subscribed to`)));
});

/** Collects the messages that a client gets, in order: {event, channel, data}. */
export function messagesOf(echo) {
  const list = [];
  connectionOf(echo).bind('message', (message) => list.push(message));
  return list;
}

/** Collects the codes of the errors that the daemon gives a client, and of close frames. */
export function errorsOf(echo) {
  const codes = [];
  connectionOf(echo).bind('error', ({ data, error }) => {
    const code = (data ?? error?.data)?.code;
    if (code !== undefined) codes.push(code); // otherwise it's the network
  });
  return codes;
}

/** Collects what an Echo channel hears of some events, in order. */
export function collect(channel, ...events) {
  const heard = [];
  for (const event of events) channel.listen(event, (data) => heard.push(data));
  return heard;
}

/** Waits until a list has that many items. */
export const grows = (list, length) => eventually(`${length} items`, () => list.length >= length);

/** Waits until a list's last item is 'end'. */
export const ends = (list) => eventually('the last event', () => list.at(-1) === 'end');
