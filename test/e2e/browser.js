import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { root } from './stack.js';

const executablePath = '/usr/bin/chromium';
const pictures = join(root, 'test-results');

export async function startBrowser() {
  if (!existsSync(executablePath)) throw new Error(`${executablePath} is missing: apt-get install chromium`);
  mkdirSync(pictures, { recursive: true });
  return chromium.launch({
    executablePath,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

/**
 * Opens the page as one of the demo's users, in a browser profile of its own.
 * @param {import('playwright-core').Browser} browser
 * @param {string} url of the API
 * @param {number} userId
 * @param {import('playwright-core').BrowserContextOptions & {port?: number}} [options]
 *   port: where to reach the daemon instead of where the API says
 */
export async function openWindow(browser, url, userId, { port, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  if (port) {
    await page.route('**/api/session', async (route) => {
      const response = await route.fetch();
      const text = await response.text();
      const { realtime } = JSON.parse(text);
      await route.fulfill({ response, body: text.replaceAll(realtime.port, port) });
    });
  }
  page.setDefaultTimeout(30_000);
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));

  // What was agreed on with the server in the last handshake; Playwright doesn't tell.
  let extensions;
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  network.on('Network.webSocketHandshakeResponseReceived', ({ response: { headers } }) => {
    extensions = new Headers(headers).get('Sec-WebSocket-Extensions');
  });

  /** The channels that the server confirmed, for each WebSocket in turn. */
  const sockets = [];
  page.on('websocket', (socket) => {
    const channels = new Set();
    sockets.push(channels);
    socket.on('framereceived', ({ payload }) => {
      const message = JSON.parse(payload);
      if (message.event === 'pusher_internal:subscription_succeeded') channels.add(message.channel);
    });
  });

  await page.goto(`${url}/?as=${userId}`);
  const offer = (title) => page.locator('#feed li', { hasText: title });
  const job = (title) => page.locator('#work > li', { hasText: title });
  return {
    page,
    problems,
    offer,
    job,
    /** What the connection in use, the last one opened, is subscribed to. */
    subscribed: () => [...(sockets.at(-1) ?? [])].sort(),
    extensions: () => extensions,
    live: () => page.locator('#connection[data-state="connected"]').waitFor(),
    balance: () => page.locator('#balance').textContent(),
    async post(title, budget, description = 'As agreed on the phone.') {
      await page.getByLabel('Title').fill(title);
      await page.getByLabel('Description').fill(description);
      await page.getByLabel('Budget').fill(String(budget));
      await page.getByRole('button', { name: 'Post job' }).click();
    },
    async say(title, text) {
      await job(title).getByLabel('Message', { exact: true }).fill(text);
      await job(title).getByRole('button', { name: 'Send' }).click();
    },
    async picture(name) {
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
      await page.emulateMedia({ reducedMotion: null });
    },
    close: () => context.close(),
  };
}
