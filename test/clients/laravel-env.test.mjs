// A Laravel project's .env as it is, and Echo as Laravel sets it up for Reverb.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startApi } from './api.mjs';
import { startDaemonWithEnvFile } from './daemon.mjs';
import { collect, grows, openEcho, serverLibrary, subscribed } from './echo.mjs';
import { posted, published } from './fixtures.mjs';
import { freePort } from './process.mjs';
import { startRedis } from './redis.mjs';

const envFile = ({ port, redisPort }) => `APP_NAME="Job Marketplace"
APP_ENV=local
APP_KEY=base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
APP_DEBUG=true
APP_URL=http://localhost:8000

# APP_MAINTENANCE_STORE=database

LOG_CHANNEL=stack
LOG_DEPRECATIONS_CHANNEL=null

DB_CONNECTION=sqlite
SESSION_DOMAIN=null
BROADCAST_CONNECTION=reverb
QUEUE_CONNECTION=database

REDIS_CLIENT=phpredis
REDIS_HOST=127.0.0.1
REDIS_PASSWORD=null
REDIS_PORT=${redisPort}

MAIL_FROM_NAME="\${APP_NAME}"

REVERB_APP_ID=app-id
REVERB_APP_KEY=app-key
REVERB_APP_SECRET=app-secret
REVERB_HOST="localhost"
REVERB_PORT=${port}
REVERB_SCHEME=http
REVERB_SERVER_PORT="\${REVERB_PORT}"

VITE_APP_NAME="\${APP_NAME}"
VITE_REVERB_APP_KEY="\${REVERB_APP_KEY}"
VITE_REVERB_HOST="\${REVERB_HOST}"
VITE_REVERB_PORT="\${REVERB_PORT}"
VITE_REVERB_SCHEME="\${REVERB_SCHEME}"

# The only addition, since tests have no fixed ports.
BROADCASTD_ADMIN_LISTEN=127.0.0.1:0
`;

test('events by Redis and by HTTP reach Echo', async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const daemon = await startDaemonWithEnvFile(t, envFile({ port, redisPort: redis.port }), port);
  assert.equal(daemon.port, port);

  const laravel = await startApi(t, 'reverb');
  const echo = openEcho(t, daemon, {
    wsHost: 'localhost', wssPort: port, enabledTransports: ['ws', 'wss'], authEndpoint: laravel.url,
    auth: { headers: { Authorization: 'Bearer token-client-7' } },
  });
  const user = echo.private('user.7');
  const wallet = collect(user, '.wallet.updated');
  await subscribed(user);

  const byRedis = published.find((entry) => entry.app_name === 'Job Marketplace');
  await redis.publish(byRedis.channel, byRedis.payload);
  await grows(wallet, 1);
  // The prefix of Laravel 12 and later.
  await redis.publish('job-marketplace-database-private-user.7', byRedis.payload);
  await grows(wallet, 2);
  const byHTTP = posted.find(({ driver, event }) => driver === 'reverb' && event === 'WalletUpdated');
  await serverLibrary(daemon).post({ path: '/events', body: JSON.parse(byHTTP.body) });
  await grows(wallet, 3);
  assert.deepEqual(wallet, Array(3).fill({ balance: '120.50', currency: 'EUR' }));
});
