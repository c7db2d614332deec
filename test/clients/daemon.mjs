import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { startBalancer } from './balancer.mjs';
import { startNode } from './node.mjs';
import { temporaryDir } from './process.mjs';
import { startRedis } from './redis.mjs';

/** How many nodes each daemon of the tests is: $BROADCASTD_NODES, or 1. */
const NODES = Number(process.env.BROADCASTD_NODES || 1);

/**
 * Starts the daemon on free ports, with app-id, app-key and app-secret unless
 * config says otherwise, and waits until it hears Redis if it has one. It is one
 * node or, with $BROADCASTD_NODES, several that look the same to a test.
 * @param {{after: (stop: () => any) => void}} t a test, or node:test's own after
 * @param {object} [config] what config.yaml would hold
 */
export const startDaemon = (t, config = {}) =>
  NODES === 1 ? startNodes(t, 1, config) : startCluster(t, NODES, config);

/**
 * Starts several nodes behind a balancer, which share the Redis that config
 * names, or one of their own.
 */
export async function startCluster(t, count, config = {}) {
  const redis = config.scaling?.redis || config.redis?.url || (await startRedis(t)).url;
  return startNodes(t, count, { ...config, scaling: {
    enabled: true, redis, prefix: `${randomUUID()}:`,
    cluster_limits: true, // those of a test are the app's
    ...config.scaling,
  } });
}

function startNodes(t, count, config) {
  const cwd = temporaryDir();
  // YAML takes JSON.
  writeFileSync(join(cwd, 'test.yaml'), JSON.stringify({
    host: '127.0.0.1', admin: { listen: '127.0.0.1:0' }, ...config,
    app: { id: 'app-id', key: 'app-key', secret: 'app-secret', ...config.app },
  }));
  return launch(t, count, () => startNode(t, cwd, (port) => ['--config', 'test.yaml', '--port', String(port)]));
}

/** Starts the daemon with a Laravel project's .env, of that text, which names a Redis and the port. */
export function startDaemonWithEnvFile(t, text, port) {
  const cwd = temporaryDir();
  const several = NODES > 1;
  writeFileSync(join(cwd, '.env'), several ? `${text}REVERB_SCALING_ENABLED=true\n` : text);
  const start = (own) => ['--env-file', '.env', ...(several ? ['--port', String(own)] : [])];
  return launch(t, NODES, () => startNode(t, cwd, start), port);
}

/** Starts so many nodes. One is the daemon itself; several are one behind a balancer. */
async function launch(t, count, startOne, port = 0) {
  const nodes = await Promise.all(Array.from({ length: count }, startOne));
  const all = (act) => Promise.all(nodes.map(act));
  if (count === 1) return Object.assign(nodes[0], { nodes });
  const balancer = await startBalancer(t, [...nodes], port);
  return {
    /** Each by itself: a test may stop, start and ask it. */
    nodes,
    balancer,
    port: balancer.port,
    start: () => all((node) => node.start()),
    stop: () => all((node) => node.stop()),
    log: () => nodes.map((node) => node.log()).join(''),
    becomes: (status) => all((node) => node.becomes(status)),
    /** A metric's sum over the nodes that have it. */
    async metric(series) {
      const values = (await all((node) => node.metric(series))).filter((value) => !Number.isNaN(value));
      return values.length > 0 ? values.reduce((sum, value) => sum + value) : NaN;
    },
  };
}
