import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run } from '../e2e/processes.js';

export { eventually, freePort } from '../e2e/processes.js';

const dir = mkdtempSync(join(tmpdir(), 'broadcastd-clients-'));
const running = new Set();

// Whatever ends this process ends what it started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
process.once('exit', () => {
  for (const program of running) program.stop('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

/** Makes a folder that ends with this process. */
export const temporaryDir = () => mkdtempSync(join(dir, '-'));

/** Starts a program that ends with this process, and waits until it is ready. */
export async function start(command, args, options) {
  const program = await run(command, args, { ...options, env: { ...hideSettings(), ...options.env } });
  running.add(program);
  return program;
}

/** What takes the daemon's settings out of the developer's own environment. */
function hideSettings() {
  const settings = Object.keys(process.env).filter((name) => /^(BROADCASTD|REVERB|REDIS)_|^APP_NAME$/.test(name));
  return Object.fromEntries(settings.map((name) => [name, undefined]));
}
