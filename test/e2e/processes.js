import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';

const DEADLINE_MS = 30_000;

/** Repeats check until it returns something true, and returns that. */
export async function eventually(what, check) {
  const end = Date.now() + DEADLINE_MS;
  let reason = '';
  while (Date.now() < end) {
    try {
      const result = await check();
      if (result) return result;
    } catch (error) {
      reason = `: ${error.message}`;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not happen in ${DEADLINE_MS / 1000} s${reason}`);
}

/** A port that nothing listened on a moment ago. */
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Runs a program until it says that it is ready.
 * @param {string} command
 * @param {string[]} args
 * @param {{ready: (output: string) => any, env?: object, cwd?: string}} options
 *   ready returns something true once the program is; this is the result's too
 */
export async function run(command, args, { ready, env, cwd }) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const ended = new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(signal ?? code));
  });
  let gone;
  ended.then((how) => (gone = how));

  const stop = async (signal = 'SIGTERM') => {
    child.kill(signal);
    return ended;
  };
  try {
    const isReady = await eventually(`${command}: ready`, () => {
      if (gone !== undefined) return { failed: true };
      return ready(output);
    });
    if (isReady.failed) throw new Error(`${command} ended (${gone})`);
    return { isReady, stop, output: () => output };
  } catch (error) {
    await stop('SIGKILL');
    throw new Error(`${error.message}\n${output.slice(-4000)}`);
  }
}
