import { once } from 'node:events';
import net from 'node:net';
import { pipeline } from 'node:stream';

/**
 * Starts what stands in front of several daemons: each new connection goes to
 * the next of them that takes it, and stays there.
 * @param {{after: (stop: () => any) => void}} t a test, or node:test's own after
 * @param {{port: number, isReady?: () => Promise<boolean>}[]} targets the
 *   daemons; one that says that it isn't ready is passed over
 * @param {number} [port] its own; 0: any
 */
export async function startBalancer(t, targets, port = 0) {
  let turn = 0;
  const open = new Set();

  /** Connects to the next target that takes it; undefined: none does. */
  async function next() {
    const start = turn++;
    for (let i = 0; i < balancer.targets.length; i++) {
      const target = balancer.targets[(start + i) % balancer.targets.length];
      if (target.isReady && !(await target.isReady())) continue;
      const server = net.connect(target.port, '127.0.0.1');
      if (await once(server, 'connect').then(() => true, () => false)) return server;
    }
    return undefined;
  }

  const listener = net.createServer({ pauseOnConnect: true }, async (client) => {
    open.add(client.on('close', () => open.delete(client)).on('error', () => {}));
    const server = await next();
    if (!server) return client.destroy();
    pipeline(client, server, client, () => {}); // however it ends, both do
  });
  listener.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => {
    listener.close();
    for (const client of open) client.destroy();
  });
  const balancer = { port: listener.address().port, targets };
  return balancer;
}
