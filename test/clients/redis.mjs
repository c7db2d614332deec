import { once } from 'node:events';
import net from 'node:net';

import { freePort, start, temporaryDir } from './process.mjs';

/**
 * Starts a redis-server.
 * @param {{after: (stop: () => any) => void}} t a test, or node:test's own after
 */
export async function startRedis(t) {
  const port = await freePort();
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--dir', temporaryDir()];
  const ready = (output) => output.includes('eady to accept connections');
  let server;
  const redis = {
    port,
    url: `redis://127.0.0.1:${port}`,
    async start() {
      server = await start('redis-server', args, { ready }).catch((error) => {
        if (!error.message.includes('ENOENT')) throw error;
        throw new Error('redis-server is missing: apt-get install redis-server');
      });
    },
    kill: () => server.stop('SIGKILL'),
    /** Publishes as Laravel does: one script, which sends to every channel. */
    publish: (channels, payload) => redis.run('EVAL',
      "for i = 2, #ARGV do redis.call('publish', ARGV[i], ARGV[1]) end", '0', payload, ...[channels].flat()),
    /** Has Redis run a command, byte for byte. */
    run: (...words) => run(port, words),
  };
  await redis.start();
  t.after(() => redis.kill());
  return redis;
}

async function run(port, command) {
  const words = command.map((word) => Buffer.from(word));
  const socket = net.connect(port, '127.0.0.1');
  try {
    socket.write(`*${words.length}\r\n`);
    for (const word of words) {
      socket.write(`$${word.length}\r\n`);
      socket.write(word);
      socket.write('\r\n');
    }
    const [reply] = await once(socket, 'data');
    if (reply.toString().startsWith('-')) throw new Error(`Redis: ${reply}`);
  } finally {
    socket.destroy();
  }
}
