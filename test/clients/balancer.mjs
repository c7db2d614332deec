import { once } from 'node:events';
import net from 'node:net';
import { pipeline } from 'node:stream';

/**
 * Starts what stands in front of several daemons: new connections go to the
 * port that target holds at the time, and stay there.
 * @param {{after: (stop: () => any) => void}} t
 * @param {number} target
 */
export async function startBalancer(t, target) {
  const listener = net.createServer((client) => {
    const server = net.connect(balancer.target, '127.0.0.1');
    pipeline(client, server, client, () => {}); // however it ends, both do
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => listener.close());
  const balancer = { port: listener.address().port, target };
  return balancer;
}
