// TLS on the daemon's own listener, as pusher-js and Pusher's library use it.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { startDaemon } from './daemon.mjs';
import { temporaryDir } from './process.mjs';

/** A certificate for 127.0.0.1 that signs itself. */
function certificate() {
  const dir = temporaryDir(), cert = join(dir, 'cert.pem'), key = join(dir, 'key.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=broadcastd', '-addext', 'subjectAltName=IP:127.0.0.1', '-out', cert, '-keyout', key], { stdio: 'pipe' });
  return { cert, key };
}

it('wss: a client and a library that trust the certificate', async (t) => {
  const tls = certificate();
  // Of several nodes one, since the tests' balancer talks plain text to them.
  const daemon = await startDaemon(t, { tls });
  // What Node trusts is read when it starts.
  const { stdout } = await promisify(execFile)(process.execPath,
    [fileURLToPath(new URL('wss-client.mjs', import.meta.url)), String(daemon.nodes[0].port)],
    { env: { ...process.env, NODE_EXTRA_CA_CERTS: tls.cert } });
  assert.deepEqual(JSON.parse(stdout), { heard: [{ id: 42 }], state: 'connected' });
});
