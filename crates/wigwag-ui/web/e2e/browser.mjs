/**
 * Chromium for the browser tests and the screenshots, and what every test asks of a page: that it fits the screen, that
 * axe-core finds nothing, that the browser has nothing to complain about.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

export const WIDE = { width: 1280, height: 860 };
export const PHONE = { width: 390, height: 844 };
export const WALL = { width: 2560, height: 1440 };
export const SIZES = { wide: WIDE, phone: PHONE, wall: WALL };

/** For what waits for an attempt to reconnect: those are up to half a minute apart, and devices make them too. */
export const RECOVERY_MS = 120_000;

const LAUNCH_WITHIN_MS = 180_000;
/** A bound for what hangs; a busy machine takes its time. */
const WITHIN_MS = 60_000;

const out = process.env.E2E_OUT ?? join(import.meta.dirname, '../e2e-out');
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What WCAG 2.2 A and AA ask for, as far as a program can tell. */
const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

export function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM_BIN ?? '/usr/bin/chromium',
    timeout: LAUNCH_WITHIN_MS,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A page, and the list in which the browser's complaints about it gather. */
export async function openPage(browser, { viewport = WIDE, ...options } = {}) {
  const page = await browser.newPage({ viewport, colorScheme: 'light', reducedMotion: 'reduce', ...options });
  page.setDefaultTimeout(WITHIN_MS);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  return { page, complaints };
}

export async function isConnected(page) {
  await page.getByTestId('connection').getByText('Connected', { exact: true }).waitFor();
}

/** What `act` brings for a few seconds only is looked for from before it on. */
export async function seesOnce(locator, act) {
  await Promise.all([locator.waitFor(), act()]);
}

/** For keys, which do not wait for it as a click does. */
export async function canBePressed(page, button) {
  await button.and(page.locator(':not([aria-disabled=true])')).waitFor();
}

/** The addresses of all screens, from the navigation that is made of the same table as they are. */
export async function screens(page) {
  const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
  return links.evaluateAll((elements) =>
    elements.map((link) => ({ name: link.textContent, path: link.getAttribute('href') })),
  );
}

/** In every size and both themes, for a look; and nothing may stick out to the right. */
export async function shootAll(page, name, sizes = SIZES) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const [size, viewport] of Object.entries(sizes)) {
      await page.setViewportSize(viewport);
      await shoot(page, `${name}-${size}-${colorScheme}`);
      await fitsTheScreen(page);
    }
  }
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
}

export async function shoot(page, name) {
  mkdirSync(out, { recursive: true });
  await page.screenshot({ path: join(out, `${name}.png`) });
}

/** What is drawn to measure follows the screen a frame later. */
async function fitsTheScreen(page) {
  const fits = () => globalThis.document.documentElement.scrollWidth <= globalThis.innerWidth;
  await page.waitForFunction(fits).catch(async () => {
    const [content, screen] = await page.evaluate(() => [
      globalThis.document.documentElement.scrollWidth,
      globalThis.innerWidth,
    ]);
    assert.fail(`${content} px of content on a screen of ${screen} px`);
  });
}

/** As it is now, by day and by night: contrast differs. */
export async function isAccessible(page, what) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    // Over the debugger, which the page's Content-Security-Policy does not concern.
    await page.evaluate(axeSource);
    const { violations } = await page.evaluate(
      (tags) => globalThis.axe.run(globalThis.document, { runOnly: tags }),
      AXE_TAGS,
    );
    const said = violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${help}\n  ${html}\n  ${failureSummary}`),
    );
    assert.deepEqual(said, [], `${what}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
}
