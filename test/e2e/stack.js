import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort, run } from './processes.js';
import { startProxy } from './proxy.js';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds both programs from the source as it is. */
export function build(dir) {
  for (const [program, source] of [['broadcastd', 'cmd/broadcastd'], ['jobs', 'examples/jobs']]) {
    execFileSync('go', ['build', '-o', join(dir, program), `./${source}`], { cwd: root });
  }
}

/**
 * Starts everything that the marketplace needs: redis-server, the API and the
 * daemon; and a proxy in front of the daemon for the windows that ask for it.
 * @param {object} [settings] further environment variables of the daemon
 */
export async function startStack(settings) {
  const dir = mkdtempSync(join(tmpdir(), 'broadcastd-e2e-'));
  const undo = [() => rmSync(dir, { recursive: true, force: true })];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    build(dir);
    const redisURL = `unix://${dir}/redis.sock`;
    const redis = await run('redis-server', [
      '--port', '0', '--unixsocket', join(dir, 'redis.sock'), '--save', '', '--dir', dir,
    ], { ready: (output) => output.includes('ready to accept connections') });
    undo.push(() => redis.stop());

    const port = await freePort();
    const proxy = await startProxy(port);
    undo.push(() => proxy.close());

    const api = await run(join(dir, 'jobs'), [
      '--listen=127.0.0.1:0', `--redis=${redisURL}`, `--ws-url=http://127.0.0.1:${port}`,
      `--modules=${join(root, 'examples/jobs/web/node_modules')}`,
    ], { ready: (output) => output.match(/Jobs is at (\S+)/)?.[1] });
    undo.push(() => api.stop());
    const url = api.isReady;

    let daemon;
    const startDaemon = async () => {
      daemon = await run(join(dir, 'broadcastd'), ['start'], {
        cwd: dir,
        env: {
          BROADCASTD_HOST: '127.0.0.1',
          BROADCASTD_PORT: String(port),
          BROADCASTD_ADMIN_LISTEN: '127.0.0.1:0',
          BROADCASTD_REDIS_URL: redisURL,
          BROADCASTD_AUTH_ENDPOINT: `${url}/broadcasting/auth`,
          BROADCASTD_APP_ID: 'app-id',
          BROADCASTD_APP_KEY: 'app-key',
          BROADCASTD_APP_SECRET: 'app-secret',
          ...settings,
        },
        ready: async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok,
      });
    };
    await startDaemon();
    undo.push(() => daemon.stop());

    /** Bytes that the daemon has sent to browsers. */
    const sentBytes = async () => {
      const [, admin] = daemon.output().match(/msg=listening .*admin=(\S+)/);
      const text = await (await fetch(`http://${admin}/metrics`)).text();
      return Number(text.match(/^broadcastd_sent_bytes_total (\S+)$/m)[1]);
    };
    return { url, proxy, startDaemon, stopDaemon: () => daemon.stop(), sentBytes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
