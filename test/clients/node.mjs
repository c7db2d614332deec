import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { eventually, start, temporaryDir } from './process.mjs';

let built;

/** The daemon to test: $BROADCASTD_BIN, or the source as it is. */
function daemonProgram() {
  if (process.env.BROADCASTD_BIN) return process.env.BROADCASTD_BIN;
  if (!built) {
    built = join(temporaryDir(), 'broadcastd');
    const root = fileURLToPath(new URL('../..', import.meta.url));
    execFileSync('go', ['build', '-o', built, './cmd/broadcastd'], { cwd: root });
  }
  return built;
}

/**
 * Starts one process of the daemon, and waits until it is ready.
 * @param {{after: (stop: () => any) => void}} t a test, or node:test's own after
 * @param {string} cwd
 * @param {(port: number) => string[]} args of `start`, for that port; 0: any
 */
export async function startNode(t, cwd, args) {
  let program;
  const ask = (path) => fetch(`http://127.0.0.1:${node.adminPort}${path}`);
  const node = {
    port: 0,
    adminPort: 0,
    /** Starts it again, on the same port. */
    async start() {
      program = await start(daemonProgram(), ['start', ...args(node.port)], {
        cwd, ready: (output) => output.match(/msg=listening address=\S+:(\d+) .*admin=\S+:(\d+)/),
      });
      [, node.port, node.adminPort] = program.isReady.map(Number);
      await node.becomes('ready');
    },
    /** Ends it as a supervisor does. */
    async stop() {
      assert.equal(await program.stop('SIGTERM'), 0, program.output());
    },
    /** Ends it as a crash does. */
    kill: () => program.stop('SIGKILL'),
    /** What it has logged since it started. */
    log: () => program.output(),
    /** Whether a load balancer should send clients to it. */
    isReady: () => ask('/readyz').then((answer) => answer.ok, () => false),
    /** Waits for a status of /readyz: ready, degraded. */
    becomes: (status) => eventually(`the daemon is ${status}`,
      async () => (await (await ask('/readyz')).json()).status === status),
    /** Reads a metric's value by its name with labels. */
    async metric(series) {
      const text = await (await ask('/metrics')).text();
      return Number(text.split('\n').find((line) => line.startsWith(`${series} `))?.split(' ').at(-1));
    },
  };
  t.after(() => program?.stop('SIGKILL'));
  await node.start();
  return node;
}
