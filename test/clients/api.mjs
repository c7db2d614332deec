import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';

import { authorised, RECORDED_SOCKET } from './fixtures.mjs';

const PATH = '/broadcasting/auth', USER_PATH = '/broadcasting/user-auth';

/**
 * Starts a stand-in for the Laravel application: it answers who may join a
 * channel, and who a user is, as the real one did when it was recorded, by
 * bearer token and channel.
 * @param {{after: (stop: () => any) => void}} t a test, or node:test's own after
 * @param {'redis' | 'reverb'} driver the app's broadcast driver: reverb signs its answers
 */
export async function startApi(t, driver = 'redis') {
  const api = {
    url: '',
    /** Where it tells who a user is. */
    userUrl: '',
    /** Headers of the requests so far. */
    requests: [],
    /** What is done with a request: answerAsRecorded, or for a while something else. */
    answer: answerAsRecorded,
    /** Has every request answered as in one recorded case. */
    replay(name) {
      const recorded = find(driver, (entry) => entry.case === name);
      api.answer = (request, form, response) => write(response, driver, form, recorded);
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };

  function answerAsRecorded({ url, headers }, form, response) {
    const recorded = find(driver, ({ request, route_middleware: middleware }) => middleware === 'auth:api' &&
      request.path === url &&
      request.headers.Accept?.[0] === 'application/json' &&
      request.headers.Authorization?.[0] === headers.authorization &&
      new URLSearchParams(request.body).get('channel_name') === form.get('channel_name'));
    write(response, driver, form, recorded);
  }

  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    api.requests.push(request.headers);
    api.answer(request, new URLSearchParams(body), response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(api.stop);
  const origin = `http://127.0.0.1:${server.address().port}`;
  api.url = origin + PATH;
  api.userUrl = origin + USER_PATH;
  return api;
}

function find(driver, matches) {
  const entry = authorised.find((entry) => entry.driver === driver && matches(entry));
  return entry?.response ?? { status: 500, headers: {}, body: 'the like of this request was not recorded' };
}

function write(response, driver, form, recorded) {
  const sent = /^(content-type|location|retry-after)$/i;
  const headers = Object.entries(recorded.headers).filter(([name]) => sent.test(name));
  const mustSign = driver === 'reverb' && recorded.status === 200;
  const body = mustSign ? signedAgain(recorded.body, form) : recorded.body;
  response.writeHead(recorded.status, headers.flat(2));
  response.end(body);
}

/** The recorded reply with the signature that this app gives another socket. */
function signedAgain(body, form) {
  const reply = JSON.parse(body);
  const sign = (socket) => {
    const user = reply.user_data && `:user::${reply.user_data}`;
    const parts = [socket, form.get('channel_name') ?? user, reply.channel_data];
    const text = parts.filter((part) => part !== undefined).join(':');
    return `app-key:${createHmac('sha256', 'app-secret').update(text).digest('hex')}`;
  };
  assert.equal(sign(RECORDED_SOCKET), reply.auth, 'signs as Laravel did');
  return JSON.stringify({ ...reply, auth: sign(form.get('socket_id')) });
}
