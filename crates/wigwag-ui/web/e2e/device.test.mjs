/**
 * The page of one device, and the list of many, in a real browser with real programs behind it. Told what to use as
 * `dashboard.test.mjs` is.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import mqtt from 'mqtt';

import { isAccessible, isConnected, launchBrowser, openPage, PHONE, shootAll } from './browser.mjs';
import { freePorts, startBroker, startDashboard, startDevice } from './processes.mjs';

const ARRIVE_WITHIN_MS = 180_000;

let browser;
let page;
let complaints;
let ports;
let client;
const programs = [];

before(async () => {
  const [mqttPort, wsPort, httpPort] = await freePorts(3);
  ports = { mqttPort, wsPort, httpPort };
  programs.push(await startBroker(ports));
  programs.push(await startDashboard(ports));
  programs.unshift(await startDevice({ ...ports, id: '1' }));
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { protocolVersion: 5 });
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
  await page.goto(url('/devices'));
  await isConnected(page);
  await page.locator('article[data-device="1"]').waitFor();
});

after(async () => {
  await browser?.close();
  await client?.endAsync();
  for (const program of programs) await program.stop();
});

test('a card leads to the page of its device', async () => {
  await page.getByRole('link', { name: 'Device 1' }).click();
  await page.waitForURL(url('/devices/1'));
  await page.getByRole('heading', { level: 1, name: 'Device 1' }).waitFor();
  await page.locator('[data-device="1"][data-health="online"][data-status="idle"]').waitFor();
});

test('Start runs the device, and the messages tell how long the answer took', async () => {
  await page.getByRole('button', { name: 'Start device 1' }).click();
  await page.locator('[data-device="1"][data-status="running"]').waitFor();
  const rows = page.getByTestId('log').getByRole('option');
  await rows
    .filter({ hasText: /\+\d+ ms/ })
    .filter({ hasText: '"ok":true' })
    .waitFor();
  // Sent once, though the broker sends it back to us.
  await rows.filter({ hasText: '"running"' }).nth(2).waitFor();
  assert.equal(await rows.filter({ hasText: '{"action":"start"}' }).count(), 1);
});

test('an own command is answered by the device', async () => {
  const field = page.getByRole('textbox', { name: 'A command of your own' });
  await field.fill('{"action": "dance"}');
  await field.press('Control+Enter');
  await page.getByText(/^Command rejected: .*dance/).waitFor();
});

test('there is a chart, and its values and its picture can be saved', async () => {
  await page.locator('[data-chart="temperature"] canvas').waitFor();
  const csv = await download(() => page.getByRole('button', { name: 'CSV' }).click());
  assert.equal(csv.name, 'device-1.csv');
  assert.match(csv.bytes.toString(), /^time,temperature\r\n20\d\d-\S+Z,-?\d/);
  const png = await download(() => page.getByRole('button', { name: 'PNG of temperature' }).click());
  assert.equal(png.name, 'device-1-temperature.png');
  assert.equal(png.bytes.subarray(1, 4).toString(), 'PNG');
});

test('every number of a richer state has a chart, and hostile names are text', async () => {
  const id = '50% <b>';
  const state = {
    deviceId: id,
    status: 'idle',
    temperature: 20,
    timestamp: Math.floor(Date.now() / 1000),
    battery: { voltage: 3.7 },
    '<img src=x onerror=alert(1)>': '<script>alert(1)</script>',
  };
  const topic = `device/${id}/state`;
  await client.publishAsync(topic, JSON.stringify(state), { retain: true, qos: 1 });
  await page.goto(url(`/devices/${encodeURIComponent(id)}?range=1m`));
  await page.locator('[data-chart="battery.voltage"] canvas').waitFor();
  await page.getByText('<script>alert(1)</script>', { exact: true }).first().waitFor();
  await page.getByRole('region', { name: 'Retained topics' }).getByText(topic).waitFor();
  await shootAll(page, 'device-hostile', { phone: PHONE });
  await client.publishAsync(topic, '', { retain: true, qos: 1 });
  await page.getByText(/took its state back/).waitFor();
});

test('the page is accessible, in every size, by day and by night', async () => {
  await page.goto(url('/devices/1?range=1m'));
  await page.locator('[data-chart="temperature"] canvas').waitFor();
  await isAccessible(page, 'device');
  await shootAll(page, 'device');
});

test('ten thousand devices are a table that scrolls, searches and stays quick', async (context) => {
  const count = 9_999;
  const ids = Array.from({ length: count }, (_, index) => `m${index + 1}`);
  const said = (id, temperature) =>
    JSON.stringify({ deviceId: id, status: 'idle', temperature, timestamp: Math.floor(Date.now() / 1000) });
  const publishAll = (temperature) =>
    Promise.all(ids.map((id) => client.publishAsync(`device/${id}/state`, said(id, temperature))));
  await page.goto(url('/devices?view=table'));
  await page.getByRole('table').waitFor();
  await page.evaluate(watchFrames);
  await publishAll(20);
  await page.getByText('10,000 found').waitFor({ timeout: ARRIVE_WITHIN_MS });
  await publishAll(21);
  await page.locator('[data-row="m1"]').getByText('21.0 °C').waitFor({ timeout: ARRIVE_WITHIN_MS });
  const gap = await page.evaluate(() => globalThis.longestFrameMs);
  context.diagnostic(`longest frame while 20,000 states of 10,000 devices came: ${gap} ms`);
  assert.equal(await page.getByRole('table').getAttribute('aria-rowcount'), '10001');
  assert.ok((await page.getByRole('row').count()) < 100);

  await page
    .getByRole('region', { name: 'Table of devices' })
    .evaluate((box) => box.scrollTo(0, box.scrollHeight));
  await page.locator('[data-row="m9999"]').waitFor();
  await page.getByRole('searchbox', { name: 'Search' }).fill('M999');
  await page.locator('[role=table][aria-rowcount="12"]').waitFor();
  await page.locator('[data-row="m9990"]').waitFor();
  assert.equal(await page.getByRole('row').count(), 12);
  await page.waitForURL(url('/devices?view=table&q=M999'));
  await page.getByRole('button', { name: /^No presence/ }).click();
  await page.getByRole('button', { name: 'Temperature' }).click();
  await page
    .getByRole('columnheader', { name: 'Temperature' })
    .and(page.locator('[aria-sort="ascending"]'))
    .waitFor();
  await isAccessible(page, 'table');
  await shootAll(page, 'table');
  // Nothing of this was retained, and the choice is in the address.
  await page.reload();
  await page.getByText('No device is like that.').waitFor();
  assert.equal(await page.getByRole('searchbox', { name: 'Search' }).inputValue(), 'M999');
});

test('the browser had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});

async function download(act) {
  const [file] = await Promise.all([page.waitForEvent('download'), act()]);
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}

/** Runs in the page. */
function watchFrames() {
  globalThis.longestFrameMs = 0;
  let last = globalThis.performance.now();
  const next = (now) => {
    globalThis.longestFrameMs = Math.max(globalThis.longestFrameMs, Math.round(now - last));
    last = now;
    globalThis.requestAnimationFrame(next);
  };
  globalThis.requestAnimationFrame(next);
}

function url(path) {
  return `http://127.0.0.1:${ports.httpPort}${path}`;
}
