import net from 'node:net';

/**
 * A TCP proxy that stands for one user's network. cut() breaks every
 * connection and lets new ones hang, as a network that is away does; restore()
 * lets them through.
 * @param {number} target port on this machine
 */
export async function startProxy(target) {
  const pairs = new Set();
  const hanging = new Set();
  let up = true;

  function connect(client) {
    const server = net.connect(target, '127.0.0.1');
    const pair = [client, server];
    pairs.add(pair);
    for (const [from, to] of [pair, pair.toReversed()]) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        pairs.delete(pair);
      });
    }
  }

  const listener = net.createServer((client) => {
    if (up) return connect(client);
    hanging.add(client);
    client.on('error', () => {});
    client.on('close', () => hanging.delete(client));
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));

  return {
    port: listener.address().port,
    cut() {
      up = false;
      for (const pair of pairs) for (const socket of pair) socket.destroy();
    },
    restore() {
      up = true;
      for (const client of hanging) connect(client);
      hanging.clear();
    },
    close() {
      this.cut();
      for (const client of hanging) client.destroy();
      listener.close();
    },
  };
}
