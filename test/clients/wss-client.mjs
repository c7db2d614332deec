// What wss.test.mjs runs, with the certificate to trust in NODE_EXTRA_CA_CERTS: an
// Echo client hears by TLS what the server library publishes by TLS.

import { collect, connectionOf, grows, openEcho, serverLibrary, signed, subscribed } from './echo.mjs';

const port = Number(process.argv[2]);
const stops = [];
const echo = openEcho({ after: (stop) => stops.push(stop) }, { port }, {
  wssPort: port, forceTLS: true, enabledTransports: ['ws', 'wss'], ...signed(),
});
const channel = echo.private('job.42');
const heard = collect(channel, '.job.updated');
await subscribed(channel);
await serverLibrary({ port }, { useTLS: true }).trigger('private-job.42', 'job.updated', { id: 42 });
await grows(heard, 1);
console.log(JSON.stringify({ heard, state: connectionOf(echo).state }));
for (const stop of stops) stop();
