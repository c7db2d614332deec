// deploy/nginx/broadcastd.conf and deploy/caddy/Caddyfile: TLS in front of the daemon.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { startApi } from './api.mjs';
import { startDaemon } from './daemon.mjs';
import { selfSigned, startCaddy, startNginx } from './proxies.mjs';

const { certificate, key } = selfSigned();

const proxies = {
  nginx: (t, daemon) => startNginx(t, 'nginx/broadcastd.conf', (port, dir) => [
    ['listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`],
    ['server_name ws.example.com;', 'server_name localhost;'],
    ['server 127.0.0.1:8080 ', `server 127.0.0.1:${daemon.port} `],
    ['/etc/ssl/certs/ws.example.com.pem', certificate],
    ['/etc/ssl/private/ws.example.com.key', key],
    ['/var/log/nginx/broadcastd.log', join(dir, 'access.log')],
  ]),
  Caddy: (t, daemon) => startCaddy(t, 'caddy/Caddyfile', (port) => [
    ['ws.example.com {', `https://localhost:${port} {\n\tbind 127.0.0.1\n\ttls ${certificate} ${key}`],
    ['127.0.0.1:8080', `127.0.0.1:${daemon.port}`],
  ]),
};

for (const [name, startProxy] of Object.entries(proxies)) {
  test(`behind ${name} clients connect by wss, are authorised and whisper`, async (t) => {
    const api = await startApi(t);
    const daemon = await startDaemon(t, { auth: { endpoint: api.url, headers: ['Authorization', 'X-Forwarded-For'] } });
    const proxy = await startProxy(t, daemon);
    // A process of its own: Node reads NODE_EXTRA_CA_CERTS at its start only.
    const client = fileURLToPath(new URL('tls.client.mjs', import.meta.url));
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificate };
    await promisify(execFile)(process.execPath, [client, String(proxy.port)], { env, timeout: 60_000 });
    assert.ok(api.requests.length > 0);
    for (const request of api.requests) assert.equal(request['x-forwarded-for'], '127.0.0.1', 'what the client forged is gone');
  });
}
