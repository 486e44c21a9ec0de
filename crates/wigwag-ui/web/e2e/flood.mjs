/**
 * A flood for the Explorer: 20,000 topics at 5,000 messages a second, or as fast as the broker takes them; and what that
 * asks of a page which shows the tree.
 */
import assert from 'node:assert/strict';

import { isConnected } from './browser.mjs';
import { measureMainThread, told } from './main-thread.mjs';

const TOPICS = 20_000;
const PER_SECOND = 5_000;
const BEATS_PER_SECOND = 50;
const UNSENT_MAX = 1024 * 1024;
const WITHIN_MS = 180_000;
const MEASURED_MS = 10_000;

/** Ends with `clearInterval`. */
export function startFlood(client) {
  let next = 0;
  return setInterval(() => {
    // A broker that cannot follow is not to fill this process.
    if (client.stream.writableLength > UNSENT_MAX) return;
    for (let count = 0; count < PER_SECOND / BEATS_PER_SECOND; count++) {
      const index = next++ % TOPICS;
      const payload = JSON.stringify({ value: Math.random(), at: Date.now(), unit: '°C', state: 'running' });
      client.publish(`flood/${index % 200}/sensor/${Math.floor(index / 200)}`, payload);
    }
  }, 1_000 / BEATS_PER_SECOND);
}

/** All topics come, with the tree open at two levels of them; the log of the test has the figures of the main thread. */
export async function watchFlood(context, { browser, page, client }) {
  const flood = startFlood(client);
  try {
    const figures = page.getByTestId('tree-figures');
    await figures.getByText(/(?:20,\d{3}|2[1-9],\d{3}) topics/).waitFor({ timeout: WITHIN_MS });
    await page.getByRole('treeitem', { name: /^flood[ ,]/ }).click();
    await page
      .getByRole('treeitem', { name: /^0[ ,]/ })
      .first()
      .waitFor();
    const measured = await measureMainThread(browser, page, () => page.waitForTimeout(MEASURED_MS));
    const counted = await figures.innerText();
    context.diagnostic(`${told(measured)}; ${counted}`);
    await isConnected(page);
    assert.match(counted, /^2\d,\d{3} topics/);
  } finally {
    clearInterval(flood);
  }
}
