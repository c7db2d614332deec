// What tls.test.mjs runs: two clients and the API's library, all by TLS to the port
// of the first argument.

import assert from 'node:assert/strict';

import { collect, connectionOf, grows, openEcho, refused, serverLibrary, subscribed } from './echo.mjs';

const port = Number(process.argv[2]);
const at = `https://localhost:${port}/broadcasting/auth`;
const clients = ['token-client-7', 'token-freelancer-9', 'token-stranger-12'].map((token) => openEcho({ after() {} }, { port }, {
  wsHost: 'localhost', wssPort: port, forceTLS: true, enabledTransports: ['ws', 'wss'],
  authEndpoint: at, auth: { headers: { Authorization: `Bearer ${token}`, 'X-Forwarded-For': '203.0.113.7' } },
}));
const [client, freelancer] = clients.map((echo) => echo.private('job.42'));
assert.equal(await refused(clients[2].private('job.42')), 403);
await subscribed(client, freelancer);
assert.match(connectionOf(clients[0]).connection.transport.socket?.url ?? '', /^wss:/);

const whispers = [];
freelancer.listenForWhisper('typing', (data) => whispers.push(data));
client.whisper('typing', { user: 7 });
await grows(whispers, 1);
assert.deepEqual(whispers, [{ user: 7 }]);

const heard = [client, freelancer].map((channel) => collect(channel, '.job.updated'));
const library = serverLibrary({ port }, { host: 'localhost', useTLS: true });
for (let i = 1; i <= 3; i++) await library.trigger('private-job.42', 'job.updated', { i });
// Larger than a proxy's buffers.
const large = 'x'.repeat(90_000);
await library.trigger('private-job.42', 'job.updated', { large });
for (const list of heard) {
  await grows(list, 4);
  assert.deepEqual(list, [{ i: 1 }, { i: 2 }, { i: 3 }, { large }]);
}
process.exit(0);
