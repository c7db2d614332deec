import { once } from 'node:events';
import http from 'node:http';

import { serverLibrary } from './echo.mjs';

/**
 * Starts what an app has for webhooks: it takes those that Pusher's library
 * finds valid, and answers 401 to others.
 * @param {{after: (stop: () => any) => void}} t a test, or node:test's own after
 */
export async function startReceiver(t) {
  const receiver = {
    url: '',
    /** The events of the requests that were taken, in order, without ids. */
    events: [],
    /** Those that a cluster gives them, by which a receiver knows what it has had. */
    ids: [],
    /** Requests so far: {headers, body, valid, time}. */
    requests: [],
    /** The status for a request that is valid; undefined: none, for ever. */
    status: 200,
  };
  const server = http.createServer(async (request, response) => {
    let rawBody = '';
    for await (const piece of request) rawBody += piece;
    const webhook = serverLibrary({ port: 0 }).webhook({ headers: request.headers, rawBody });
    const valid = request.method === 'POST' && webhook.isValid();
    receiver.requests.push({ headers: request.headers, body: rawBody, valid, time: webhook.getTime() });
    const status = valid ? receiver.status : 401;
    if (status === 200) {
      for (const { id, ...event } of webhook.getEvents()) {
        receiver.events.push(event);
        if (id !== undefined) receiver.ids.push(id);
      }
    }
    if (status !== undefined) response.writeHead(status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  receiver.url = `http://127.0.0.1:${server.address().port}/broadcasting/webhook`;
  return receiver;
}
