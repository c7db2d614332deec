// Events that an API adds to the log itself, as examples/stream does it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { startDaemon } from './daemon.mjs';
import { collect, ends, grows, openEcho, signed, subscribed } from './echo.mjs';
import { startRedis } from './redis.mjs';

const examples = fileURLToPath(new URL('../../examples/stream', import.meta.url));
const run = promisify(execFile);
const DATA = { id: 42, text: 'a "café" \\ 👋\n$HOME', list: [], nothing: null };

/** The example in each language: what adds an event, given as in the shell. */
const commands = {
  shell: ['./publish.sh'],
  PHP: ['php', 'publish.php'],
  Node: [process.execPath, 'publish.mjs'],
};

/** Returns what runs an example and gives back the id that Redis answered. */
function publisher([command, ...args], redis, partitions) {
  const env = { ...process.env, REDIS_URL: redis.url, PARTITIONS: String(partitions) };
  return async (channel, event, data, ...socket) => {
    const options = { cwd: examples, env };
    const { stdout } = await run(command, [...args, channel, event, JSON.stringify(data), ...socket], options);
    assert.match(stdout.trim(), /^\d+-\d+$/);
  };
}

/** A daemon that reads the log which the examples add to, and its Redis. */
async function start(t, partitions, source = 'stream') {
  const redis = await startRedis(t);
  const daemon = await startDaemon(t, {
    redis: { url: redis.url, source }, scaling: { prefix: 'broadcastd:', partitions },
  });
  return { redis, daemon };
}

for (const [language, command] of Object.entries(commands)) {
  for (const partitions of [1, 5]) {
    test(`${language}, partitions: ${partitions}`, async (t) => {
      const { redis, daemon } = await start(t, partitions);
      const [sender, other] = ['7', '9'].map((id) => openEcho(t, daemon, signed({ user_id: id })));
      const open = (echo) => [echo.channel('jobs.discovery'), echo.private('job.42')];
      const channels = [...open(sender), ...open(other)];
      const heard = channels.map((channel) => collect(channel, '.job.posted', '.end'));
      await subscribed(...channels);

      const publish = publisher(command, redis, partitions);
      await publish('jobs.discovery', 'job.posted', DATA);
      await publish('jobs.discovery', 'job.posted', 'to others', sender.socketId());
      await publish('jobs.discovery', 'end', 'end');
      await publish('private-job.42', 'job.posted', [1]);
      await publish('private-job.42', 'end', 'end');
      for (const list of heard) await ends(list);
      assert.deepEqual(heard, [[DATA, 'end'], [[1], 'end'], [DATA, 'to others', 'end'], [[1], 'end']]);
    });
  }
  test(`${language}: what Redis refuses is an error`, async (t) => {
    const redis = await startRedis(t);
    await redis.run('SET', 'broadcastd:{app-id:0}:log', 'not a log');
    await assert.rejects(publisher(command, redis, 1)('jobs.discovery', 'job.posted', 1), /WRONGTYPE/);
  });
}

test('Laravel, with a broadcaster of its own', async (t) => {
  const partitions = 5;
  const { redis, daemon } = await start(t, partitions);
  const [sender, other] = ['7', '9'].map((id) => openEcho(t, daemon, signed({ user_id: id })));
  const open = (echo) => [echo.channel('jobs.discovery'), echo.private('job.42'), echo.join('room.5')];
  const channels = [...open(sender), ...open(other)];
  const heard = channels.map((channel) => collect(channel, '.job.posted'));
  await subscribed(...channels);
  const names = channels.slice(0, 3).map(({ name }) => name);
  const broadcast = (event, data) => run('php', ['laravel.php', String(redis.port), String(partitions),
    event, JSON.stringify(data), ...names], { cwd: fileURLToPath(new URL('.', import.meta.url)) });
  await broadcast('job.posted', DATA);
  await broadcast('job.posted', { to: 'others', socket: sender.socketId() });
  await broadcast('job.posted', {}); // an event without data
  await broadcast('job.posted', { last: true });
  const all = [DATA, { to: 'others' }, [], { last: true }];
  const notOwn = all.filter((data) => data.to !== 'others');
  const expected = [notOwn, notOwn, notOwn, all, all, all];
  for (const [i, list] of heard.entries()) await grows(list, expected[i].length);
  assert.deepEqual(heard, expected);
});

test('what is added while the daemon is away is not lost', async (t) => {
  const { redis, daemon } = await start(t, 1);
  const publish = publisher(commands.shell, redis, 1);
  await publish('cache-jobs', 'job.posted', 'before');
  await daemon.stop();
  await publish('cache-jobs', 'job.posted', 'meanwhile');
  await daemon.start();
  const echo = openEcho(t, daemon);
  const channel = echo.channel('cache-jobs'), heard = collect(channel, '.job.posted');
  await subscribed(channel);
  await grows(heard, 1);
  assert.deepEqual(heard, ['meanwhile']);
});

for (const [source, expected] of Object.entries({
  stream: ['by the log', 'end'], both: ['by PUBLISH', 'by the log', 'end'],
})) {
  test(`redis.source: ${source}`, async (t) => {
    const { redis, daemon } = await start(t, 1, source);
    const echo = openEcho(t, daemon);
    const channel = echo.channel('jobs'), heard = collect(channel, '.n');
    await subscribed(channel);
    await redis.publish('laravel-database-jobs', '{"event":"n","data":"by PUBLISH","socket":null}');
    if (source === 'both') await grows(heard, 1); // two sources, two orders
    const publish = publisher(commands.shell, redis, 1);
    await publish('jobs', 'n', 'by the log');
    await publish('jobs', 'n', 'end');
    await ends(heard);
    assert.deepEqual(heard, expected);
  });
}
