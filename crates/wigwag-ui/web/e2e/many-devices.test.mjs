/**
 * Ten thousand devices at their rate: what the page's main thread has to do, printed; and what is
 * done with many of them together: selection, a command with its preview and its results, tags. With our broker alone:
 * beside ten thousand devices at their rate, Mosquitto 2.0 on two cores did not let the page in within fifteen seconds.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { isAccessible, isConnected, launchBrowser, openPage, shootAll } from './browser.mjs';
import { measureMainThread, told } from './main-thread.mjs';
import { freePorts, Program, startBroker, startDashboard } from './processes.mjs';

const skip = process.env.E2E_BROKER === 'mosquitto';
const COUNT = 10_000;
const MEASURED_MS = 8_000;
const ARRIVE_WITHIN_MS = 180_000;
/** `device-77`, `device-770` to `device-779`, `device-7700` to `device-7799`. */
const PART = { text: 'device-77', count: 111 };
/** Those and ten times as many. */
const MORE = { text: 'device-7', count: 1_111, shown: '1,111' };

let browser;
let page;
let complaints;
let broker;
let dashboard;
let fleet;
let httpPort;

before(async () => {
  if (skip) return;
  const ports = await freePorts(3);
  const [mqttPort, wsPort] = ports;
  httpPort = ports[2];
  broker = await startBroker({ mqttPort, wsPort });
  dashboard = await startDashboard({ wsPort, httpPort });
  fleet = await startFleet(mqttPort);
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
});

after(async () => {
  await browser?.close();
  await Promise.all([fleet, dashboard, broker].map((program) => program?.stop()));
});

for (const [view, search] of [
  ['a table', '?view=table'],
  ['a table in the order of a value', '?view=table&sort=-value'],
  ['cards', ''],
]) {
  test(
    `10,000 devices as ${view} are all there at their rate, and what that asks of the page is told`,
    { skip },
    async (context) => {
      await page.goto(url(`/settings`));
      await isConnected(page);
      await page.goto(url(`/devices${search}`));
      const arriving = await measureMainThread(browser, page, async () => {
        await page.getByText(/^10,000 found · 10,000 online/).waitFor({ timeout: ARRIVE_WITHIN_MS });
      });
      context.diagnostic(`while they arrive: ${told(arriving)}`);
      const steady = await measureMainThread(browser, page, () => page.waitForTimeout(MEASURED_MS));
      context.diagnostic(`at their rate: ${told(steady)}`);
      await isConnected(page);
      await page.getByText(/^10,000 found · 10,000 online/).waitFor();
    },
  );
}

test('all that a search has found are selected by keyboard, and told something', { skip }, async () => {
  await page.goto(url(`/devices?view=table&q=${PART.text}`));
  await page.getByText(`Select all ${PART.count}`, { exact: true }).waitFor();
  await page
    .getByRole('checkbox', { name: `Select all ${PART.count}` })
    .first()
    .focus();
  await page.keyboard.press('Space');
  await page.getByTestId('selected').getByText(`${PART.count} selected`, { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Command…' }).focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: `A command to ${PART.count} devices` });
  await dialog.getByLabel('Command', { exact: true }).selectOption({ label: 'Stop (111 of 111)' });
  await dialog.getByTestId('plan').getByText('111 messages').waitFor();
  await dialog.getByText('device/device-77/command').waitFor();
  await dialog.getByText('{"action":"stop"}').first().waitFor();
  await isAccessible(page, 'a command to many');
  await shootAll(page, 'many-command');
  const send = dialog.getByRole('button', { name: 'Send to 111 devices' });
  assert.equal(await send.getAttribute('aria-disabled'), 'true');
  await dialog.getByLabel('Type 111 to confirm').focus();
  await page.keyboard.type('111');
  await page.keyboard.press('Enter');
  await page.getByTestId('run').getByText('111 confirmed').waitFor();
  await page.getByRole('button', { name: 'Idle 111' }).waitFor();
});

test('the result of each is listed, and saved as a table', { skip }, async () => {
  await page.getByTestId('run').getByRole('button', { name: 'Results' }).click();
  const dialog = page.getByRole('dialog', { name: 'Results: Stop' });
  await dialog
    .getByText(/^confirmed · [\d,]+ ms$/)
    .first()
    .waitFor();
  await isAccessible(page, 'results');
  await shootAll(page, 'many-results');
  const saved = page.waitForEvent('download');
  await dialog.getByRole('button', { name: 'CSV' }).click();
  const lines = readFileSync(await (await saved).path(), 'utf8')
    .trimEnd()
    .split('\r\n');
  assert.equal(lines.length, 1 + PART.count);
  assert.match(
    lines[1],
    /^device-77,device-77,contract,device\/device-77\/command,"\{""action"":""stop""\}",confirmed,,[^,]+,\d+$/,
  );
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Dismiss' }).click();
});

test('a command on its way is held, goes on, and is cancelled', { skip }, async () => {
  // So many are on their way for two minutes, and no button goes before it is pressed.
  await isSearched(MORE);
  await page
    .getByRole('checkbox', { name: `Select all ${MORE.shown}` })
    .first()
    .click();
  await page.getByTestId('selected').getByText(`${MORE.shown} selected`, { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Command…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('At most').selectOption({ label: '10 a second' });
  await dialog.getByLabel('Type 1111 to confirm').fill('1111');
  await dialog.getByRole('button', { name: `Send to ${MORE.shown} devices` }).click();
  const run = page.getByTestId('run');
  await run.getByText(/ [1-9]\d* confirmed/).waitFor();
  await run.getByRole('button', { name: 'Hold' }).click();
  await run.getByText(/held at [\d,]+ of 1,111/).waitFor();
  await run.getByRole('button', { name: 'Go on' }).click();
  await run.getByText(/[\d,]+ of 1,111 sent/).waitFor();
  await run.getByRole('button', { name: 'Cancel the rest' }).click();
  await run.getByText(/cancelled at [\d,]+ of 1,111/).waitFor();
  await run.getByText(/[\d,]+ not sent/).waitFor();
  await run.getByRole('button', { name: 'Dismiss' }).click();
  await isSearched(PART);
});

test('a range of devices gets a tag, which the broker keeps', { skip }, async () => {
  await page.getByRole('button', { name: 'Select none' }).click();
  await page.getByRole('checkbox', { name: 'Select Device device-77', exact: true }).click();
  await page
    .getByRole('checkbox', { name: 'Select Device device-772', exact: true })
    .click({ modifiers: ['Shift'] });
  await page.getByTestId('selected').getByText('4 selected').waitFor();
  await page.getByRole('button', { name: 'Tags…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Tags of 4 devices' });
  await dialog.getByLabel('Add').fill('hall, <b>north</b>');
  await dialog.getByText('device/device-772/tags').waitFor();
  await isAccessible(page, 'tags');
  await dialog.getByRole('button', { name: 'Send to 4 devices' }).click();
  await page.getByTestId('run').getByText('4 taken by the broker').waitFor();
  const { page: other } = await openPage(browser);
  await other.goto(url('/devices?view=table&tag=hall'));
  await other.getByText('hall, <b>north</b>').nth(3).waitFor({ timeout: ARRIVE_WITHIN_MS });
  assert.equal(await other.getByRole('table', { name: 'Devices' }).getAttribute('aria-rowcount'), '5');
  await other.close();
});

test('the browser had nothing to complain about', { skip }, () => {
  assert.deepEqual(complaints, []);
});

async function isSearched({ text, count }) {
  await page.getByRole('searchbox', { name: 'Search' }).fill(text);
  await page.locator(`[role=table][aria-rowcount="${1 + count}"]`).waitFor();
}

/** `device-1` and so on, each with a connection of its own; ready when all are online. */
function startFleet(mqttPort) {
  const broker = ['--broker', `mqtt://127.0.0.1:${mqttPort}`];
  const args = [
    'simulate',
    'dashboard',
    ...broker,
    '--count',
    COUNT,
    '--start-rate',
    2_000,
    '--report',
    '1s',
  ];
  const readyLine = new RegExp(`online ${COUNT}/${COUNT}`);
  return Program.start(process.env.WIGWAG_BIN, args.map(String), { readyLine });
}

function url(path) {
  return `http://127.0.0.1:${httpPort}${path}`;
}
