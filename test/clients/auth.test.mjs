// Private and presence channels, signed by the daemon's own endpoint, which
// asks the API with the client's token.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startApi } from './api.mjs';
import { startDaemon } from './daemon.mjs';
import { askDaemon, collect, grows, openEcho, refused, serverLibrary, subscribed } from './echo.mjs';
import { ENCRYPTION_MASTER_KEY, posted } from './fixtures.mjs';

const CLIENT = 'token-client-7', FREELANCER = 'token-freelancer-9', STRANGER = 'token-stranger-12';

for (const driver of ['redis', 'reverb']) {
  test(`with Laravel's ${driver} driver`, async (t) => {
    const api = await startApi(t, driver);
    const daemon = await startDaemon(t, { auth: { endpoint: api.url } });
    const open = (token) => openEcho(t, daemon, askDaemon(daemon, token));
    const [client, freelancer, stranger, nobody] = [CLIENT, FREELANCER, STRANGER, 'nonsense'].map(open);
    const library = serverLibrary(daemon);

    const job = client.private('job.42'), user = client.private('user.7');
    const notifications = client.private('App.Models.User.7');
    const sameJob = freelancer.private('job.42');
    let members;
    const room = client.join('room.5').here((present) => (members = present));
    await subscribed(job, user, notifications, sameJob, room);
    assert.deepEqual(members, [{ id: 7, name: 'Zoë "Client" O\'Neil', role: 'client' }]);

    assert.equal(await refused(stranger.private('job.42')), 403);
    assert.equal(await refused(freelancer.private('user.7')), 403);
    assert.equal(await refused(stranger.join('room.5')), 403);
    assert.equal(await refused(client.private('job.4711')), 403);
    assert.equal(await refused(nobody.private('job.42')), 401);
    for (const { accept, 'x-requested-with': requestedWith } of api.requests) {
      assert.equal(accept, 'application/json');
      assert.equal(requestedWith, 'XMLHttpRequest');
    }

    const claims = [job, sameJob, user].map((channel) => collect(channel, '.job.claimed'));
    await library.trigger(['private-job.42', 'private-user.7'], 'job.claimed', { id: 42 });
    for (const heard of claims) {
      await grows(heard, 1);
      assert.deepEqual(heard, [{ id: 42 }]);
    }
  });
}

test('what the API answers other than yes is a refusal with its status', async (t) => {
  const api = await startApi(t);
  const daemon = await startDaemon(t, { auth: { endpoint: api.url, timeout: '1s' } });
  const echo = openEcho(t, daemon, askDaemon(daemon, CLIENT));
  const answers = {
    'throttled, request 2': 429,
    'maintenance mode (artisan down --retry=15)': 503,
    'no bearer token, no Accept header, app with a login route': 401, // a redirect to the login page
    'private, callback throws': 500,
    'private, callback returns null': 403,
    'private, callback aborts 403 with a message': 403,
    'presence, callback returns true instead of an array': 502,
  };
  for (const [name, status] of Object.entries(answers)) {
    api.replay(name);
    assert.equal(await refused(echo.join('room.5')), status, name);
    echo.leave('room.5');
  }
  const misbehaviour = {
    'is silent': [() => {}, 504],
    'breaks off': [(response) => response.destroy(), 502],
    'sends a web page': [(response) => response.end('<!DOCTYPE html>'), 502],
    'signs with another secret': [(response) => response.end(`{"auth":"app-key:${'0'.repeat(64)}"}`), 502],
  };
  for (const [name, [act, status]] of Object.entries(misbehaviour)) {
    api.answer = (request, form, response) => act(response);
    assert.equal(await refused(echo.private('job.42')), status, name);
    echo.leave('job.42');
  }
  api.stop();
  assert.equal(await refused(echo.private('job.42')), 502, 'is away');
  assert.equal(echo.connectionStatus(), 'connected');
});

test('Laravel signs without the daemon, as with Reverb', async (t) => {
  const api = await startApi(t, 'reverb');
  const daemon = await startDaemon(t);
  const open = (token) => openEcho(t, daemon, {
    authEndpoint: api.url,
    auth: { headers: { Authorization: `Bearer ${token}` } },
  });
  const client = open(CLIENT);
  let members;
  await subscribed(client.private('job.42'), client.join('room.5').here((present) => (members = present)));
  assert.deepEqual(members, [{ id: 7, name: 'Zoë "Client" O\'Neil', role: 'client' }]);
  assert.equal(await refused(open(STRANGER).private('job.42')), 403);
});

test('a forged signature is refused', async (t) => {
  const daemon = await startDaemon(t);
  const forged = { auth: `app-key:${'0'.repeat(64)}`, channel_data: '{"user_id":"1"}' };
  const authorizer = () => ({ authorize: (socketId, done) => done(null, forged) });
  const echo = openEcho(t, daemon, { authorizer });
  assert.equal(await refused(echo.private('job.42')), 401);
  assert.equal(await refused(echo.join('room.5')), 401);
});

test('encrypted channels: Laravel has the key, the daemon passes it on', async (t) => {
  const api = await startApi(t, 'reverb');
  const daemon = await startDaemon(t, { auth: { endpoint: api.url } });
  const echo = openEcho(t, daemon, askDaemon(daemon, CLIENT));
  const channel = echo.encryptedPrivate('job.42');
  const notes = collect(channel, '.secret.note');
  await subscribed(channel);

  const note = { id: 42, note: 'top secret ✓' };
  const library = serverLibrary(daemon, { encryptionMasterKeyBase64: ENCRYPTION_MASTER_KEY });
  await library.trigger('private-encrypted-job.42', 'secret.note', note);
  // And what Laravel itself encrypted.
  const recorded = posted.find(({ event }) => event === 'SecretNote-encrypted');
  await library.post({ path: '/events', body: JSON.parse(recorded.body) });
  await grows(notes, 2);
  assert.deepEqual(notes, [note, note]);
});
