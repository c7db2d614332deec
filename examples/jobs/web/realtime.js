// Live events for the marketplace, over laravel-echo and pusher-js. This is
// the file to copy into an application of your own.
//
// What pusher-js does by itself: it reconnects, and subscribes to every channel
// again. What it leaves to the application, and this file adds: it drops
// whispers while there is no connection, it doesn't try a refused subscription
// again, and it waits 15 s and longer between attempts when the server is away.

import Echo from 'laravel-echo';
import Pusher from 'pusher-js';

/** Whispers that wait in each channel at most; beyond it the oldest is given up. */
const MAX_WAITING = 50;

/**
 * How long a channel that nobody follows any more is kept, in ms. Pages leave and join
 * again at once; pusher-js, which sends from timers, can then have the subscription
 * overtake the end of the one before, and be in a channel that the server has it left.
 */
const LINGER = 100;

/** pusher-js's connection states by what they mean to a user. */
const STATES = {
  initialized: 'connecting',
  connecting: 'connecting',
  connected: 'connected',
  unavailable: 'offline', // still trying
  failed: 'refused',
  disconnected: 'refused', // the server sent us away, or disconnect() was called
};

/**
 * @typedef {'connecting' | 'connected' | 'offline' | 'refused'} State
 *
 * @typedef {Object} Options
 * @property {string} key the app's key
 * @property {string} host where broadcastd listens
 * @property {number | string} port
 * @property {boolean} [tls]
 * @property {string} authEndpoint broadcastd's /broadcasting/auth
 * @property {() => string} token the bearer token, asked for at each
 *   authorisation, so that a renewed one is used from then on
 * @property {(state: State) => void} [onState] called on each change
 * @property {(event: {name: string, channel: string, data: any}) => void} [onEvent]
 *   sees every event before its handler, for logs and measurements
 *
 * @typedef {Object} Refusal
 * @property {string} type 'AuthError'
 * @property {string} error
 * @property {number} [status] HTTP status, such as 403; 0 when the endpoint
 *   could not be reached
 *
 * @typedef {Object} SubscriptionHandlers
 * @property {() => void} [subscribed] called now and after every reconnect:
 *   what happened before was not heard, so load the state again
 * @property {(refusal: Refusal) => void} [refused] not tried again before the
 *   next reconnect
 *
 * @typedef {{job: {id: number, title: string, description: string, budget: number, client_id: number}}} JobPosted
 * @typedef {{job: {id: number, status: string}, freelancer: {id: number, name: string}}} JobClaimed
 * @typedef {{id: number, changes: {status?: string, progress?: number}}} JobUpdated
 * @typedef {{balance: string, currency: string}} WalletUpdated
 *
 * @typedef {SubscriptionHandlers & {posted?: (e: JobPosted) => void, updated?: (e: JobUpdated) => void}} DiscoveryHandlers
 * @typedef {SubscriptionHandlers & {claimed?: (e: JobClaimed) => void, updated?: (e: JobUpdated) => void, message?: (m: any) => void}} JobHandlers
 * @typedef {SubscriptionHandlers & {claimed?: (e: JobClaimed) => void, wallet?: (e: WalletUpdated) => void}} UserHandlers
 *
 * @typedef {() => void} Unsubscribe
 */

/**
 * Connects at once.
 * @param {Options} options
 */
export function createRealtime({ key, host, port, tls = false, authEndpoint, token, onState, onEvent }) {
  const echo = new Echo({
    broadcaster: 'reverb',
    Pusher,
    key,
    wsHost: host,
    wsPort: port,
    wssPort: port,
    forceTLS: tls,
    enabledTransports: ['ws', 'wss'],
    channelAuthorization: {
      endpoint: authEndpoint,
      headersProvider: () => ({ Authorization: `Bearer ${token()}`, Accept: 'application/json' }),
    },
  });
  const pusher = echo.connector.pusher;

  /** @type {State} */
  let state = 'connecting';
  const become = (next) => {
    if (next === state) return;
    state = next;
    onState?.(state);
  };
  pusher.connection.bind('state_change', ({ current }) => become(STATES[current]));
  // A lost connection stays "connected" for a second, until the first attempt
  // to reconnect; this tells at once.
  pusher.connection.bind('connecting_in', () => become('connecting'));

  const pace = createPace();
  /** @type {Map<string, ReturnType<typeof openRoom>>} */
  const rooms = new Map();

  /**
   * Joins a channel. Several callers share one subscription, and the last one
   * to leave ends it.
   * @param {string} name with its prefix
   * @param {Record<string, string>} events name of the event: name of the handler
   * @param {SubscriptionHandlers & Record<string, any>} handlers
   * @returns {Unsubscribe}
   */
  function join(name, events, handlers) {
    if (!rooms.has(name)) rooms.set(name, openRoom(echo, name, events, onEvent, pace));
    const room = rooms.get(name);
    room.add(handlers);
    return () => {
      if (!room.remove(handlers)) return;
      setTimeout(() => {
        if (!room.isEmpty() || rooms.get(name) !== room) return;
        rooms.delete(name);
        room.close();
      }, LINGER);
    };
  }

  return {
    /**
     * The feed of open jobs.
     * @param {DiscoveryHandlers} handlers
     */
    subscribeToDiscovery: (handlers) =>
      join('jobs.discovery', { 'job.posted': 'posted', 'job.updated': 'updated' }, handlers),

    /**
     * One job, for its client and its freelancer.
     * @param {number} id
     * @param {JobHandlers} handlers
     */
    subscribeToJob: (id, handlers) =>
      join(`private-job.${id}`, {
        'job.claimed': 'claimed', 'job.updated': 'updated', 'client-message': 'message',
      }, handlers),

    /**
     * What concerns one user, wherever they are in the application.
     * @param {number} id
     * @param {UserHandlers} handlers
     */
    subscribeToUser: (id, handlers) =>
      join(`private-user.${id}`, { 'job.claimed': 'claimed', 'wallet.updated': 'wallet' }, handlers),

    /**
     * Sends a message to the others who follow a job; the API never sees it.
     * @param {number} id a job that is subscribed to
     * @param {any} message
     * @returns {Promise<void>} resolves when the message is on its way: at once
     *   or after a reconnect; rejects when it was given up. Nobody confirms that
     *   it arrived.
     */
    whisperToJob(id, message) {
      const room = rooms.get(`private-job.${id}`);
      return room && !room.isEmpty() ? room.whisper('client-message', message)
        : Promise.reject(new Error(`job ${id} is not subscribed to`));
    },

    /** The X-Socket-ID of requests to the API, so that their events skip us. */
    socketId: () => (state === 'connected' ? echo.socketId() : undefined),

    /** Tries now instead of when pusher-js would. */
    reconnect() {
      if (state === 'connected') return;
      pusher.disconnect();
      pusher.connect();
    },

    /** Ends the connection and every subscription. */
    disconnect() {
      for (const room of rooms.values()) room.close();
      rooms.clear();
      echo.disconnect();
    },
  };
}

/**
 * The server takes ten whispers a second of a connection, and refuses more. The
 * result counts one more, or tells how many milliseconds to wait before that.
 */
function createPace() {
  const sent = []; // when the last ten went
  return () => {
    const now = performance.now();
    const wait = sent.length < 10 ? 0 : sent[0] + 1100 - now; // a little more than a second
    if (wait > 0) return wait;
    if (sent.push(now) > 10) sent.shift();
    return 0;
  };
}

/** One subscribed channel: its callers, and the whispers that wait for it. */
function openRoom(echo, name, events, onEvent, pace) {
  const channel = name.startsWith('private-')
    ? echo.private(name.slice('private-'.length))
    : echo.channel(name);
  const subscription = channel.subscription; // pusher-js's own channel
  const callers = new Set();
  const waiting = [];

  const tell = (handler, data) => {
    for (const handlers of callers) handlers[handler]?.(data);
  };
  let timer;
  // Echo's whisper() doesn't say whether the message could be sent; trigger does.
  const flush = () => {
    clearTimeout(timer);
    while (waiting.length && subscription.subscribed) {
      const wait = pace();
      if (wait > 0) {
        timer = setTimeout(flush, wait);
        return;
      }
      if (!subscription.trigger(waiting[0].event, waiting[0].data)) return;
      waiting.shift().resolve();
    }
  };

  for (const [event, handler] of Object.entries(events)) {
    channel.listen(`.${event}`, (data) => {
      if (callers.size === 0) return;
      onEvent?.({ name: event, channel: name, data });
      tell(handler, data);
    });
  }
  channel.subscribed(() => {
    flush();
    tell('subscribed');
  });
  channel.error((refusal) => tell('refused', refusal));

  const room = {
    add(handlers) {
      callers.add(handlers);
      if (subscription.subscribed) queueMicrotask(() => handlers.subscribed?.());
    },

    /** Reports whether that was the last caller. */
    remove(handlers) {
      if (!callers.delete(handlers) || callers.size) return false;
      room.giveUp();
      return true;
    },

    isEmpty: () => callers.size === 0,

    /** Whispers that wait are not sent any more. */
    giveUp() {
      clearTimeout(timer);
      for (const whisper of waiting.splice(0)) whisper.reject(new Error(`${name} was left`));
    },

    whisper(event, data) {
      return new Promise((resolve, reject) => {
        waiting.push({ event, data, resolve, reject });
        if (waiting.length > MAX_WAITING) waiting.shift().reject(new Error('too many messages are waiting'));
        flush();
      });
    },

    close() {
      room.giveUp();
      // pusher-js keeps a channel whose subscription is under way, and would
      // call these handlers again after a later subscription.
      subscription.unbind();
      echo.leaveChannel(name);
    },
  };
  return room;
}
