// Cache channels: who comes later gets the last event.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { startDaemon } from './daemon.mjs';
import {
  collect, encryptingLibrary, grows, messagesOf, openEcho, serverLibrary, signed, subscribed,
} from './echo.mjs';
import { eventually } from './process.mjs';
import { startRedis } from './redis.mjs';

const SUCCEEDED = 'pusher_internal:subscription_succeeded', MISS = 'pusher:cache_miss';

const redis = await startRedis({ after });
const daemon = await startDaemon({ after }, { redis: { url: redis.url } });
const library = encryptingLibrary(daemon);

const kinds = {
  'cache-': (echo, name) => echo.channel(`cache-${name}`),
  'private-cache-': (echo, name) => echo.private(`cache-${name}`),
  'private-encrypted-cache-': (echo, name) => echo.encryptedPrivate(`cache-${name}`),
  'presence-cache-': (echo, name) => echo.join(`cache-${name}`),
};

const sources = {
  HTTP: (channel, event, data) => library.trigger(channel, event, data),
  Redis: (channel, event, data) => redis.publish(`laravel-database-${channel}`,
    JSON.stringify({ event, data: dataFor(channel, data), socket: null })),
};

/** An event's data as a publisher sends it to that channel, encrypted where it must be. */
function dataFor(channel, data) {
  if (!channel.startsWith('private-encrypted-')) return data;
  const encrypting = encryptingLibrary({ port: 0 });
  let request;
  encrypting.post = (options) => (request = options);
  encrypting.trigger(channel, 'any', data);
  return JSON.parse(request.body.data);
}

/** Opens a client on a channel and writes down what it hears, in the order of its messages. */
async function visit(t, open, name) {
  const echo = openEcho(t, daemon, signed());
  const messages = messagesOf(echo);
  const channel = open(echo, name);
  const heard = collect(channel, '.job.updated');
  channel.subscription.bind(MISS, () => heard.push('miss'));
  await subscribed(channel);
  const about = () => messages.filter((message) => message.channel === channel.name).map(({ event }) => event);
  return { echo, channel, heard, about };
}

const infoOf = async (channel) =>
  (await library.get({ path: `/channels/${channel}`, params: { info: 'subscription_count,cache' } })).json();

const isEmpty = (channel) =>
  eventually(`${channel} is empty`, async () => (await infoOf(channel)).subscription_count === 0);

for (const [prefix, open] of Object.entries(kinds)) {
  for (const [source, publish] of Object.entries(sources)) {
    test(`${prefix}: a miss, then the last event, of ${source}, also after all have left`, async (t) => {
      const name = prefix + source;
      const first = await visit(t, open, source);
      await grows(first.heard, 1);
      await publish(name, 'job.updated', { n: 1 });
      await publish(name, 'job.updated', { n: 2 });
      await grows(first.heard, 3);
      assert.deepEqual(first.heard, ['miss', { n: 1 }, { n: 2 }]);
      assert.deepEqual(first.about(), [SUCCEEDED, MISS, 'job.updated', 'job.updated']);

      const second = await visit(t, open, source);
      await grows(second.heard, 1);
      for (const { echo } of [first, second]) echo.disconnect();
      await isEmpty(name);
      const third = await visit(t, open, source);
      await grows(third.heard, 1);
      third.echo.disconnect();
      await isEmpty(name);
      const { data: before } = (await infoOf(name)).cache;
      await publish(name, 'job.updated', { n: 3, text: 'José 李雷 👋' });
      await eventually('the event is kept', async () => (await infoOf(name)).cache.data !== before);
      const fourth = await visit(t, open, source);
      await grows(fourth.heard, 1);

      for (const [{ heard, about }, data] of [
        [second, { n: 2 }], [third, { n: 2 }], [fourth, { n: 3, text: 'José 李雷 👋' }],
      ]) {
        assert.deepEqual(heard, [data]);
        assert.deepEqual(about(), [SUCCEEDED, 'job.updated'], 'right after the subscription, and no miss');
      }
    });
  }
}

test('only the events of cache channels are kept, and no whispers', async (t) => {
  await library.trigger('private-plain', 'job.updated', 'lost');
  const plain = await visit(t, (echo) => echo.private('plain'));
  const join = () => visit(t, kinds['private-cache-'], 'whispers');
  const [sender, other] = [await join(), await join()];
  const whispers = collect(other.channel, '.client-typing');
  sender.channel.whisper('typing', 'not kept');
  await grows(whispers, 1);
  const late = await join();
  await grows(late.heard, 1);
  assert.deepEqual(late.about(), [SUCCEEDED, MISS]);
  await library.trigger('private-plain', 'job.updated', 'end');
  await grows(plain.heard, 1);
  assert.deepEqual(plain.about(), [SUCCEEDED, 'job.updated']);
  assert.deepEqual(plain.heard, ['end']);
});

test('an event is kept for cache_ttl', async (t) => {
  const own = await startDaemon(t, { app: { cache_ttl: '1s' } });
  const publisher = serverLibrary(own);
  await publisher.trigger('cache-jobs', 'job.updated', { n: 1 });
  await eventually('the event is forgotten', async () => {
    const answer = await publisher.get({ path: '/channels/cache-jobs', params: { info: 'cache' } });
    return (await answer.json()).cache === undefined;
  });
  const echo = openEcho(t, own);
  const messages = messagesOf(echo);
  const channel = echo.channel('cache-jobs');
  await subscribed(channel);
  await eventually('a miss', () => messages.some(({ event }) => event === MISS));
  assert.deepEqual(messages.map(({ event }) => event).slice(-2), [SUCCEEDED, MISS]);
});

test('what the HTTP API tells of a cache channel', async () => {
  assert.deepEqual(await infoOf('cache-info'), { occupied: false, subscription_count: 0 });
  await library.trigger('cache-info', 'job.updated', { title: 'café' });
  const { occupied, cache } = await infoOf('cache-info');
  assert.equal(occupied, false);
  assert.equal(cache.data, '{"title":"café"}');
  assert.ok(Number.isInteger(cache.ttl) && cache.ttl > 0 && cache.ttl <= 30 * 60, `ttl ${cache.ttl}`);
});
