import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
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
 * Starts the daemon on free ports, with app-id, app-key and app-secret unless
 * config says otherwise, and waits until it hears Redis if it has one.
 * @param {{after: (stop: () => any) => void}} t a test, or node:test's own after
 * @param {object} [config] what config.yaml would hold
 */
export function startDaemon(t, config = {}) {
  const cwd = temporaryDir();
  // YAML takes JSON.
  writeFileSync(join(cwd, 'test.yaml'), JSON.stringify({
    host: '127.0.0.1', admin: { listen: '127.0.0.1:0' }, ...config,
    app: { id: 'app-id', key: 'app-key', secret: 'app-secret', ...config.app },
  }));
  return launch(t, cwd, (port) => ['--config', 'test.yaml', '--port', String(port)]);
}

/** Starts the daemon with a Laravel project's .env, of that text, and nothing else. */
export function startDaemonWithEnvFile(t, text) {
  const cwd = temporaryDir();
  writeFileSync(join(cwd, '.env'), text);
  return launch(t, cwd, () => ['--env-file', '.env']);
}

async function launch(t, cwd, args) {
  let program;
  const daemon = {
    port: 0,
    adminPort: 0,
    /** Starts it again, on the same port. */
    async start() {
      program = await start(daemonProgram(), ['start', ...args(daemon.port)], {
        cwd, ready: (output) => output.match(/msg=listening address=\S+:(\d+) .*admin=\S+:(\d+)/),
      });
      [, daemon.port, daemon.adminPort] = program.isReady.map(Number);
      await daemon.becomes('ready');
    },
    /** Ends it as a supervisor does. */
    async stop() {
      assert.equal(await program.stop('SIGTERM'), 0, program.output());
    },
    /** What it has logged since it started. */
    log: () => program.output(),
    /** Waits for a status of /readyz: ready, degraded. */
    becomes: (status) => eventually(`the daemon is ${status}`, async () => {
      const answer = await fetch(`http://127.0.0.1:${daemon.adminPort}/readyz`);
      return (await answer.json()).status === status;
    }),
    /** Reads a metric's value by its name with labels. */
    async metric(series) {
      const text = await (await fetch(`http://127.0.0.1:${daemon.adminPort}/metrics`)).text();
      return Number(text.split('\n').find((line) => line.startsWith(`${series} `))?.split(' ').at(-1));
    },
  };
  await daemon.start();
  t.after(() => program.stop('SIGKILL'));
  return daemon;
}
