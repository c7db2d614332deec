// The marketplace as its users see it: four people, each with a browser of
// their own, the real daemon, a real Redis, and a network that fails.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { openWindow, startBrowser } from './browser.js';
import { eventually } from './processes.js';
import { startStack } from './stack.js';

const ZOE = 7, MARCUS = 8, JOSE = 9, MILA = 12;
// A promise inside the page has no time limit of its own.
const LIMIT = { timeout: 60_000 };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };

let stack, browser;
const windows = [];

before(async () => {
  stack = await startStack();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});
afterEach(async () => {
  const problems = windows.flatMap((window) => window.problems);
  await Promise.all(windows.splice(0).map((window) => window.close()));
  assert.deepEqual(problems, [], 'uncaught errors in the page');
});

/** Opens windows for users and waits until each hears its channels. */
async function open(...asked) {
  const opened = await Promise.all(asked.map(([id, options]) => openWindow(browser, stack.url, id, options)));
  windows.push(...opened);
  for (const [i, window] of opened.entries()) {
    await window.live();
    await hears(window, 'jobs.discovery', `private-user.${asked[i][0]}`);
  }
  return opened;
}

/** Waits until the connection in use is subscribed to channels. */
const hears = (window, ...channels) =>
  eventually(`subscription to ${channels}`, () => channels.every((name) => window.subscribed().includes(name)));

const jobId = async (card) => Number(await card.getAttribute('data-job'));
const holds = (window, amount) =>
  eventually(`a balance of ${amount}`, async () => (await window.balance()) === amount);
const progresses = (window, title, percent) =>
  eventually(`progress of ${percent}`, async () =>
    (await window.job(title).locator('output').textContent()) === percent);

test('a job goes from offer to payment in front of everybody', LIMIT, async () => {
  const [zoe, jose, mila, phone] = await open([ZOE], [JOSE], [MILA, { colorScheme: 'dark' }], [ZOE, PHONE]);
  await holds(zoe, '€5,000.00');
  await holds(jose, '€120.50');
  await jose.page.getByText('You have claimed no jobs yet').waitFor();
  await jose.picture('freelancer-nothing-claimed');

  const title = 'Paint the café’s shutters';
  await zoe.post(title, 1000);
  for (const window of [zoe, jose, mila, phone]) await window.offer(title).waitFor();
  assert.equal(await zoe.offer(title).count(), 1, 'who posted sees the job once');
  assert.match(await jose.page.locator('#events .delay').first().textContent(), /^\d+ ms$/);

  await jose.offer(title).getByRole('button', { name: 'Claim' }).click();
  await jose.job(title).waitFor();
  for (const window of [zoe, jose, mila, phone]) await window.offer(title).waitFor({ state: 'detached' });
  await zoe.page.locator('#toasts').getByText('José Álvarez claimed').waitFor();
  await zoe.job(title).getByText('with José Álvarez').waitFor();
  await phone.job(title).getByText('with José Álvarez').waitFor();
  for (const window of [zoe, phone]) await holds(window, '€4,000.00');
  await holds(jose, '€320.50');
  await holds(mila, '€0.00');

  const channel = `private-job.${await jobId(jose.job(title))}`;
  for (const window of [zoe, jose, phone]) await hears(window, channel);
  await jose.say(title, 'I start tomorrow at eight.');
  await zoe.job(title).getByText('I start tomorrow at eight.').waitFor();
  await zoe.say(title, 'Perfect, the key is next door.');
  for (const window of [jose, phone]) await window.job(title).getByText('the key is next door').waitFor();
  await jose.job(title).getByRole('button', { name: '50 %' }).click();
  for (const window of [jose, zoe, phone]) await progresses(window, title, '50 %');
  await zoe.picture('client');
  await phone.picture('client-phone');
  await jose.picture('freelancer');
  await mila.picture('freelancer-dark');

  await jose.job(title).getByRole('button', { name: 'Complete' }).click();
  for (const window of [jose, zoe, phone]) await window.job(title).getByText('Completed').waitFor();
  await holds(jose, '€1,120.50');
  await holds(zoe, '€4,000.00');
});

test('a stranger is refused the channels of others', LIMIT, async () => {
  const [marcus, jose, mila] = await open([MARCUS], [JOSE], [MILA]);
  const title = 'Count the <b>bicycles</b> 🚲 \\ "all" / of them';
  await marcus.post(title, 100);
  await jose.offer(title).getByRole('button', { name: 'Claim' }).click();
  await jose.job(title).waitFor();
  const id = await jobId(jose.job(title));
  await hears(jose, `private-job.${id}`);

  const refusals = await mila.page.evaluate(async ([job, user]) => {
    const { createRealtime } = await import('/realtime.js');
    const { users, realtime } = await (await fetch('/api/session')).json();
    const { token } = users.find((user) => user.name.startsWith('Mila'));
    const rt = createRealtime({ ...realtime, token: () => token });
    const outcome = (subscribe, id) => new Promise((resolve) => {
      subscribe(id, { subscribed: () => resolve('subscribed'), refused: (refusal) => resolve(refusal.status) });
    });
    const outcomes = await Promise.all([
      outcome(rt.subscribeToJob, job), outcome(rt.subscribeToUser, user), outcome(rt.subscribeToJob, 4711),
    ]);
    rt.disconnect();
    return outcomes;
  }, [id, MARCUS]);
  assert.deepEqual(refusals, [403, 403, 403]);

  // Also without asking first: no signature, and one made up.
  const answers = await mila.page.evaluate(async (channel) => {
    const { realtime } = await (await fetch('/api/session')).json();
    const ask = (auth) => new Promise((resolve) => {
      const socket = new WebSocket(`ws://${realtime.host}:${realtime.port}/app/${realtime.key}?protocol=7`);
      socket.onmessage = ({ data }) => {
        const { event } = JSON.parse(data);
        if (event === 'pusher:connection_established') {
          socket.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel, auth } }));
        } else if (event !== 'pusher:ping') {
          socket.close();
          resolve(event);
        }
      };
    });
    return Promise.all([ask(undefined), ask(`app-key:${'0'.repeat(64)}`)]);
  }, `private-job.${id}`);
  assert.deepEqual(answers, ['pusher:subscription_error', 'pusher:subscription_error']);
});

test('after an outage everything is subscribed again and nothing is missing', LIMIT, async () => {
  const [marcus, jose] = await open([MARCUS], [JOSE, { port: stack.proxy.port }]);
  const title = 'Repair the fountain';
  await marcus.post(title, 500);
  await jose.offer(title).getByRole('button', { name: 'Claim' }).click();
  await jose.job(title).waitFor();
  const channel = `private-job.${await jobId(jose.job(title))}`;
  for (const window of [marcus, jose]) await hears(window, channel);
  const before = jose.subscribed();

  stack.proxy.cut();
  await jose.page.locator('#connection:not([data-state="connected"])').waitFor();
  await jose.page.getByText('No connection').waitFor();
  await jose.say(title, 'First word from the tunnel');
  await jose.say(title, 'Second word from the tunnel');
  assert.equal(await jose.job(title).locator('[data-state="waiting"]').count(), 2);
  await marcus.post('Posted while the network was away', 50);
  await marcus.offer('Posted while the network was away').waitFor();
  assert.equal(await jose.offer('Posted while the network was away').count(), 0);
  await jose.picture('offline');

  stack.proxy.restore();
  await jose.live();
  await hears(jose, ...before);
  // What was queued is sent, in order; what was missed is loaded.
  await marcus.job(title).getByText('Second word').waitFor();
  assert.deepEqual(await marcus.job(title).locator('.theirs').allTextContents(),
    ['First word from the tunnel', 'Second word from the tunnel']);
  await jose.job(title).locator('[data-state]').first().waitFor({ state: 'detached' });
  await jose.offer('Posted while the network was away').waitFor();
  // And events flow on all kinds of channels.
  await marcus.say(title, 'Welcome back');
  await jose.job(title).getByText('Welcome back').waitFor();
  await marcus.post('Posted after the network came back', 50);
  await jose.offer('Posted after the network came back').waitFor();
  const balance = await jose.balance();
  await jose.offer('Posted after the network came back').getByRole('button', { name: 'Claim' }).click();
  await eventually('a new balance', async () => (await jose.balance()) !== balance);
});

test('a restart of the daemon is survived', LIMIT, async () => {
  const [zoe, mila] = await open([ZOE], [MILA, PHONE]);
  const before = mila.subscribed();
  const how = await stack.stopDaemon();
  assert.equal(how, 0, 'the daemon ends with exit code 0');
  for (const window of [zoe, mila]) {
    await window.page.locator('#connection:not([data-state="connected"])').waitFor();
  }
  await stack.startDaemon();
  for (const window of [zoe, mila]) {
    // pusher-js may have been faster, and the button gone.
    await window.page.getByRole('button', { name: 'Try now' }).click({ timeout: 2000 }).catch(() => {});
    await window.live();
  }
  await hears(mila, ...before);
  await zoe.post('Water the plants', 30);
  await mila.offer('Water the plants').waitFor();
  await mila.offer('Water the plants').getByRole('button', { name: 'Claim' }).click();
  await holds(mila, '€6.00');
  await mila.offer('Water the plants').waitFor({ state: 'detached' });
  await mila.picture('freelancer-phone');
});

test('realtime.js shares subscriptions and bounds what waits', LIMIT, async () => {
  const [zoe] = await open([ZOE]);
  const id = await jobId(zoe.page.locator('#work > li').first());
  const result = await zoe.page.evaluate(async (id) => {
    const { createRealtime } = await import('/realtime.js');
    const { users, realtime } = await (await fetch('/api/session')).json();
    const connect = (onEvent) => createRealtime({ ...realtime, token: () => users[0].token, onEvent });
    const joined = (rt, handlers) => {
      let leave;
      const done = new Promise((resolve) => (leave = rt.subscribeToJob(id, { ...handlers, subscribed: resolve })));
      return { done, leave };
    };

    const heard = [];
    const other = connect(({ data }) => heard.push(data.n));
    await joined(other).done;
    other.subscribeToJob(id, {})();
    const last = new Promise((resolve) => other.subscribeToJob(id, { message: ({ n }) => n === 'last' && resolve() }));

    const rt = connect();
    const first = joined(rt);
    // Not connected yet: whispers wait, and of too many the oldest is given up.
    const outcomes = Promise.allSettled(Array.from({ length: 51 }, (_, n) => rt.whisperToJob(id, { n })));
    await first.done;
    const states = (await outcomes).map(({ status }) => status);
    // The last to leave ends the subscription.
    const second = joined(rt);
    await second.done;
    first.leave();
    await rt.whisperToJob(id, { n: 'still subscribed' });
    second.leave();
    const left = await rt.whisperToJob(id, {}).catch((error) => error.message);
    // Left and joined again at once, which costs no subscription.
    joined(rt).leave();
    await joined(rt).done;
    await rt.whisperToJob(id, { n: 'last' });
    await last;
    for (const realtime of [rt, other]) realtime.disconnect();
    return { givenUp: states.indexOf('rejected'), left, heard: [...new Set(heard)] };
  }, id);
  assert.deepEqual(result, {
    givenUp: 0,
    left: `job ${id} is not subscribed to`,
    heard: [...Array.from({ length: 50 }, (_, n) => n + 1), 'still subscribed', 'last'],
  });
});
