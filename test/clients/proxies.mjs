// The proxies of deploy/, as Debian has them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';

import { freePort, start, temporaryDir } from './process.mjs';

process.env.PATH += ':/usr/sbin'; // where Debian has nginx

/** Makes a certificate for localhost that only itself vouches for. */
export function selfSigned() {
  const dir = temporaryDir();
  const certificate = join(dir, 'certificate.pem'), key = join(dir, 'key.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
    '-keyout', key, '-out', certificate, '-days', '1', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'pipe' });
  return { certificate, key };
}

/**
 * Starts nginx with a file of deploy/ as it is, but for what differs here.
 * @param {{after: (stop: () => any) => void}} t a test, or node:test's own after
 * @param {string} file
 * @param {(port: number, dir: string) => [string, string][]} changes for that port: what stands
 *   in the file, and what takes its place
 */
export async function startNginx(t, file, changes) {
  const dir = temporaryDir(), port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${kind};`);
  writeFileSync(join(dir, 'site.conf'), changed(file, changes(port, dir)));
  // One process, so that it ends when it is killed.
  writeFileSync(join(dir, 'nginx.conf'), `
daemon off; master_process off; pid nginx.pid; error_log stderr;
events { worker_connections 1024; }
http { access_log off; ${temporary.join(' ')} include site.conf; }
`);
  const args = ['-p', dir, '-e', 'stderr', '-c', 'nginx.conf'];
  execFileSync('nginx', [...args, '-t'], { stdio: 'pipe' });
  return startProxy(t, port, 'nginx', args);
}

/** The same for Caddy. */
export async function startCaddy(t, file, changes) {
  const dir = temporaryDir(), port = await freePort();
  // It writes nothing outside of dir, and port 80 may be somebody else's.
  const site = `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${changed(file, changes(port, dir))}`;
  writeFileSync(join(dir, 'Caddyfile'), site);
  const env = { HOME: dir, XDG_CONFIG_HOME: dir, XDG_DATA_HOME: dir };
  return startProxy(t, port, 'caddy', ['run', '--adapter', 'caddyfile', '--config', join(dir, 'Caddyfile')], env);
}

/** The text of a file of deploy/ with replacements, each of which is due once. */
function changed(file, changes) {
  let text = readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8');
  for (const [old, by] of changes) {
    assert.equal(text.split(old).length, 2, `${file} has ${old} once`);
    text = text.replace(old, by);
  }
  return text;
}

async function startProxy(t, port, command, args, env) {
  const proxy = await start(command, args, { env, ready: () => listens(port) });
  t.after(() => proxy.stop('SIGKILL'));
  return { port, log: () => proxy.output() };
}

const listens = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
  socket.on('connect', () => socket.destroy());
});
