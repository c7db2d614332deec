// Subscriptions without a signature, on connections that brought credentials:
// the daemon asks the API itself.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { startApi } from './api.mjs';
import { startDaemon } from './daemon.mjs';
import { grows, serverLibrary } from './echo.mjs';
import { openSocket } from './socket.mjs';

const SUBSCRIBED = 'pusher_internal:subscription_succeeded', REFUSED = 'pusher:subscription_error';
const CLIENT = { headers: { Authorization: 'Bearer token-client-7' } };
const SITE = 'https://jobs.example.com', SESSION = { Cookie: 'laravel_session=s3cr3t' };

const api = await startApi({ after });
const asRecorded = api.answer;
const daemon = await startDaemon({ after }, { auth: { endpoint: api.url, timeout: '1s' } });

/** The status with which a socket's subscription is refused. */
async function refusal(socket, channel) {
  socket.subscribe(channel);
  const { data } = await socket.hears(REFUSED, channel);
  assert.equal(data.type, 'AuthError');
  assert.notEqual(data.error, '');
  return data.status;
}

/** Gives the API another behaviour for the rest of a test. */
function misbehave(t, answer) {
  api.answer = answer;
  t.after(() => (api.answer = asRecorded));
}

for (const [how, options] of Object.entries({
  'an Authorization header': CLIENT,
  'a token in the query': { query: '&token=token-client-7' },
})) {
  test(`with ${how}`, async (t) => {
    const socket = await openSocket(t, daemon, options);
    for (const channel of ['private-job.42', 'private-user.7', 'presence-room.5']) socket.subscribe(channel);
    await socket.hears(SUBSCRIBED, 'private-job.42');
    await socket.hears(SUBSCRIBED, 'private-user.7');
    const { data } = await socket.hears(SUBSCRIBED, 'presence-room.5');
    assert.deepEqual(JSON.parse(data), { presence: {
      ids: ['7'], hash: { 7: { id: 7, name: 'Zoë "Client" O\'Neil', role: 'client' } }, count: 1,
    } });
    assert.equal(await refusal(socket, 'private-job.4711'), 403);

    await serverLibrary(daemon).trigger('private-job.42', 'job.updated', { id: 42 });
    assert.deepEqual(await socket.hears('job.updated'),
      { event: 'job.updated', channel: 'private-job.42', data: '{"id":42}' });
  });
}

test('with the cookies of an allowed site', async (t) => {
  const own = await startDaemon(t, {
    auth: { endpoint: api.url }, app: { allowed_origins: ['jobs.example.com'] },
  });
  misbehave(t, ({ headers }, form, response) => {
    response.statusCode = headers.cookie === SESSION.Cookie ? 200 : 401;
    response.end('true');
  });
  const socket = await openSocket(t, own, { headers: { ...SESSION, Origin: SITE } });
  socket.subscribe('private-job.42');
  await socket.hears(SUBSCRIBED, 'private-job.42');
});

test('cookies count for nothing where every site may connect', async (t) => {
  const asked = api.requests.length;
  const socket = await openSocket(t, daemon, { headers: { ...SESSION, Origin: SITE } });
  assert.equal(await refusal(socket, 'private-job.42'), 401);
  assert.equal(api.requests.length, asked, 'the API was not asked');
});

test('who may not, or is not known, is refused', async (t) => {
  const stranger = await openSocket(t, daemon, { headers: { Authorization: 'Bearer token-stranger-12' } });
  assert.equal(await refusal(stranger, 'private-job.42'), 403);
  assert.equal(await refusal(stranger, 'presence-room.5'), 403);
  const unknown = await openSocket(t, daemon, { query: '&token=nonsense' });
  assert.equal(await refusal(unknown, 'private-job.42'), 401);
  const nobody = await openSocket(t, daemon);
  assert.equal(await refusal(nobody, 'private-job.42'), 401);
});

test('an API that is silent or away is a refusal, and other messages go on meanwhile', async (t) => {
  misbehave(t, () => {});
  const socket = await openSocket(t, daemon, CLIENT);
  socket.subscribe('private-job.42');
  socket.subscribe('jobs.discovery');
  await socket.hears(SUBSCRIBED, 'jobs.discovery');
  const { data } = await socket.hears(REFUSED, 'private-job.42');
  assert.equal(data.status, 504);
  assert.deepEqual(socket.messages.map(({ event, channel }) => [event, channel]).slice(1), [
    [SUBSCRIBED, 'jobs.discovery'], [REFUSED, 'private-job.42'],
  ]);

  const gone = await startApi(t);
  const alone = await startDaemon(t, { auth: { endpoint: gone.url } });
  gone.stop();
  assert.equal(await refusal(await openSocket(t, alone, CLIENT), 'private-job.42'), 502);
});

test('a channel that is left before the API answers is not joined', async (t) => {
  const held = [], aborted = [];
  misbehave(t, (request, form, response) => {
    held.push(response);
    response.on('close', () => aborted.push(response));
  });
  const socket = await openSocket(t, daemon, CLIENT);
  socket.subscribe('private-job.42');
  await grows(held, 1);
  socket.unsubscribe('private-job.42');
  await grows(aborted, 1);

  api.answer = asRecorded;
  socket.subscribe('private-user.7');
  await socket.hears(SUBSCRIBED, 'private-user.7');
  await serverLibrary(daemon).trigger(['private-job.42', 'private-user.7'], 'job.claimed', {});
  await socket.hears('job.claimed', 'private-user.7');
  assert.deepEqual(socket.messages.filter(({ channel }) => channel === 'private-job.42'), []);

  socket.subscribe('private-job.42');
  await socket.hears(SUBSCRIBED, 'private-job.42');
});
