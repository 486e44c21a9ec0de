/**
 * A device's page that remembers, in a real browser with `wigwag up` behind it: the same curve after a reload and after the
 * broker was killed, and the session behind the device. Our broker alone records, so E2E_BROKER does not matter here.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { isAccessible, isConnected, launchBrowser, openPage, RECOVERY_MS, shootAll } from './browser.mjs';
import { freePorts, startUp } from './processes.mjs';

/** States of a running device that make a curve. */
const STATES = 4;
/** The recorder writes what it has heard a few times a second. */
const RECORDED_WITHIN_MS = 60_000;

const historyDir = mkdtempSync(join(tmpdir(), 'wigwag-e2e-'));
let browser;
let page;
let ports;
let up;

before(async () => {
  const [mqttPort, wsPort, httpPort] = await freePorts(3);
  ports = { mqttPort, wsPort, httpPort, devices: 2, historyDir };
  up = await startUp(ports);
  browser = await launchBrowser();
  ({ page } = await openPage(browser));
  await page.goto(`http://127.0.0.1:${httpPort}/devices/1`);
  await isConnected(page);
});

after(async () => {
  await browser?.close();
  await up?.stop();
  rmSync(historyDir, { recursive: true, force: true });
});

test('after a reload there is the same curve, and there are the same messages', async () => {
  await page.getByRole('button', { name: 'Start device 1' }).click();
  // The reply says "running" too, and is no point of the curve.
  await states().filter({ hasText: '"running"' }).nth(STATES).waitFor({ timeout: RECOVERY_MS });
  await page.getByRole('button', { name: 'Stop device 1' }).click();
  await page.locator('[data-device="1"][data-status="idle"]').waitFor();
  const before = await curve();
  assert.ok(before.length > STATES, `${before.length} values`);
  await isRecorded(before);
  await page.reload();
  await isRead();
  await includes(before);
  await states()
    .nth(before.length - 1)
    .waitFor();
});

test('what a killed broker has recorded is there when it is back', async () => {
  const before = await curve();
  await isRecorded(before);
  await up.kill();
  await page
    .getByText(/The connection .*lost|cannot be reached|Retry now/)
    .first()
    .waitFor();
  up = await startUp(ports);
  await page.reload();
  await isConnected(page);
  await isRead();
  await includes(before);
});

test('the span that is looked at is in the address, and goes back for a day', async () => {
  await page.getByRole('radio', { name: '24 h' }).click();
  assert.equal(new URL(page.url()).searchParams.get('range'), '24h');
  await isRead();
  await page.getByText(/Recorded by the broker since/).waitFor();
  await page.locator('[data-chart="temperature"] canvas').waitFor();
});

test('the session behind the device is shown', async () => {
  const session = page.getByRole('region', { name: 'Session' });
  await session.locator('[data-client="wigwag-device-1"]').waitFor();
  await session.locator('[data-fact="Protocol"]').getByText('MQTT 5.0').waitFor();
  await session.locator('[data-fact="Connected since"]').waitFor();
  await session.getByText('1 subscription', { exact: true }).click();
  await session.getByText('device/1/command').waitFor();
  await isAccessible(page, 'a device that is remembered');
  await shootAll(page, 'device-past');
});

/** The device's states in its log. */
function states() {
  return page.getByTestId('log').getByRole('option').filter({ hasText: 'device/1/state' });
}

/** All that is recorded of the span has been read. */
async function isRead() {
  await page.locator('[data-past="idle"]').getByText('Recorded by the broker').waitFor();
}

/** The curve may have gone on meanwhile, and begun earlier. */
async function includes(before) {
  const after = await curve();
  assert.ok(isPart(before, after), `${after} without ${before}`);
}

/** The broker has these temperatures where the end of its process does not reach them. */
async function isRecorded(temperatures) {
  const history = `http://127.0.0.1:${ports.httpPort}/api/v1/history?topic=device/1/state`;
  const signal = AbortSignal.timeout(RECORDED_WITHIN_MS);
  for (let recorded = []; !isPart(temperatures, recorded);) {
    const { messages } = await (await globalThis.fetch(history, { signal })).json();
    recorded = messages.map(({ payload }) => JSON.parse(payload).temperature);
  }
}

function isPart(some, all) {
  return `,${all},`.includes(`,${some},`);
}

/** The temperatures of the last minutes, as they are saved. */
async function curve() {
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'CSV' }).click(),
  ]);
  const [head, ...rows] = (await readFile(await file.path(), 'utf8')).trimEnd().split('\r\n');
  assert.equal(head, 'time,temperature');
  return rows.map((row) => row.split(',')[1]);
}
