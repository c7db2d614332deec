// The launcher behind "make demo", as it is: it comes up, works and leaves
// nothing behind.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { openWindow, startBrowser } from './browser.js';
import { eventually, freePort, run } from './processes.js';
import { build, root } from './stack.js';

const script = join(root, 'examples/jobs/demo.sh');

async function ports() {
  return {
    DEMO_PORT: String(await freePort()),
    DEMO_WS_PORT: String(await freePort()),
    DEMO_METRICS_PORT: String(await freePort()),
  };
}

test('make demo shows a live page and stops without a trace', { timeout: 60_000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'broadcastd-demo-'));
  build(dir);
  const env = { DEMO_BIN: dir, ...await ports() };
  const demo = await run(script, [], { env, ready: (output) => output.match(/Demo ready: (\S+)/)?.[1] });
  let browser;
  try {
    browser = await startBrowser();
    const window = await openWindow(browser, demo.isReady, 7);
    await window.live();
    await window.post('Try the demonstration', 20);
    await window.job('Try the demonstration').waitFor();
    const taken = await run(script, [], { env, ready: () => false }).catch((error) => error.message);
    assert.match(taken, new RegExp(`port ${env.DEMO_PORT} is taken: choose another with DEMO_PORT`));
  } finally {
    await browser?.close();
    assert.equal(await demo.stop('SIGINT'), 0);
    rmSync(dir, { recursive: true });
  }
  await eventually('the ports are free', async () => {
    for (const port of [env.DEMO_PORT, env.DEMO_WS_PORT, env.DEMO_METRICS_PORT]) {
      if (await fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false)) return false;
    }
    return true;
  });
  assert.equal(existsSync(demo.output().match(/Logs\s+(\S+)/)[1]), false, 'the folder of logs is gone');
});
