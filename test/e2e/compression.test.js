// Compression with a real browser: Chromium offers it by itself, and compresses
// all that it sends once the daemon has agreed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openWindow, startBrowser } from './browser.js';
import { eventually } from './processes.js';
import { startStack } from './stack.js';

const ZOE = 7, JOSE = 9;

let stack, browser;

before(async () => {
  stack = await startStack({ BROADCASTD_APP_COMPRESSION: 'true' });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});

test('large events come compressed, and whispers go so', { timeout: 60_000 }, async () => {
  const windows = await Promise.all([ZOE, JOSE].map((id) => openWindow(browser, stack.url, id)));
  const [zoe, jose] = windows;
  for (const window of windows) {
    await window.live();
    await eventually('the subscription', () => window.subscribed().includes('jobs.discovery'));
    await eventually('the handshake', () => window.extensions() !== undefined);
    assert.equal(window.extensions(), 'permessage-deflate; client_no_context_takeover; server_no_context_takeover');
  }

  const title = 'Count the pigeons', description = 'Every pigeon on the square, twice a day. '.repeat(48).trim();
  const before = await stack.sentBytes();
  await zoe.post(title, 100, description);
  for (const window of windows) await window.offer(title).getByText(description).waitFor();
  const sent = await stack.sentBytes() - before;
  assert.ok(sent < description.length, `${description.length} characters took ${sent} bytes`);

  await jose.offer(title).getByRole('button', { name: 'Claim' }).click();
  for (const window of windows) {
    await window.job(title).waitFor();
    await eventually('the job\'s channel', () => window.subscribed().some((name) => name.startsWith('private-job.')));
  }
  await jose.say(title, 'How many are 40?');
  await zoe.job(title).getByText('How many are 40?').waitFor();
  await zoe.say(title, 'Twice twenty. '.repeat(30).trim());
  await jose.job(title).getByText('Twice twenty. Twice twenty.').waitFor();
  assert.deepEqual(windows.flatMap((window) => window.problems), []);
});
