/**
 * Makes the pictures of the documentation: every screen by day and by night, with devices at work behind it. WIGWAG_BIN
 * names the program; the pictures go to docs/images, or to the folder of E2E_OUT.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { isConnected, launchBrowser, openPage, screens } from './browser.mjs';
import { freePorts, startUp } from './processes.mjs';

const out = process.env.E2E_OUT ?? join(import.meta.dirname, '../../../../docs/images');
const DEVICES = 3;
/** Enough for a line to be seen in each sparkline. */
const MESSAGES = 40;

const [mqttPort, wsPort, httpPort] = await freePorts(3);
const up = await startUp({ devices: DEVICES, mqttPort, wsPort, httpPort });
const browser = await launchBrowser();
const { page } = await openPage(browser, { viewport: { width: 1280, height: 760 }, deviceScaleFactor: 2 });
try {
  await page.goto(url('/devices'));
  await isConnected(page);
  const all = await screens(page);
  // Some collect from the first time they are opened.
  for (const screen of [...all].reverse()) await open(screen);
  await findTopic(all.find(({ name }) => name === 'Explorer'));
  await open(all[0]);
  for (let id = 1; id < DEVICES; id++) {
    await page.getByRole('button', { name: `Start device ${id}`, exact: true }).click();
  }
  await page.waitForFunction(countIsAtLeast, MESSAGES, { timeout: 120_000, polling: 1_000 });
  mkdirSync(out, { recursive: true });
  for (const screen of all) {
    await open(screen);
    if (screen.name === 'Explorer') await page.getByRole('tree').press('Enter');
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.screenshot({ path: join(out, `${screen.name.toLowerCase()}-${colorScheme}.png`) });
    }
  }
} finally {
  await browser.close();
  await up.stop();
}

function url(path) {
  return `http://127.0.0.1:${httpPort}${path}`;
}

/** Goes to the state of a device, by the keys of the tree. */
async function findTopic(explorer) {
  await open(explorer);
  await page.getByRole('treeitem', { name: /^device/ }).click();
  const keys = ['ArrowRight', 'ArrowDown', 'ArrowRight', 'ArrowDown', 'ArrowDown'];
  for (const key of keys) await page.getByRole('tree').press(key);
}

/** By its link: a screen shows what has gathered since the page was opened. */
async function open({ name, path }) {
  await page.getByRole('navigation', { name: 'Pages' }).locator(`a[href="${path}"]`).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
}

/** Runs in the page. */
function countIsAtLeast(messages) {
  const count = globalThis.document.querySelector('[title^="Messages kept"]');
  return Number.parseInt(count?.textContent ?? '0', 10) >= messages;
}
