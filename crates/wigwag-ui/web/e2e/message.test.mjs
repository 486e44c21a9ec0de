/**
 * One topic of the Explorer in detail, in a real browser with real programs behind it: readings, pictures, charts, changes,
 * and messages that are published. Told what to use as `dashboard.test.mjs` is.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import mqtt from 'mqtt';

import { isAccessible, isConnected, launchBrowser, openPage, shootAll } from './browser.mjs';
import { freePorts, startBroker, startDashboard } from './processes.mjs';

const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAAAElFTkSuQmCC',
  'base64',
);
const HOSTILE = '<img src=x onerror="document.title=\'broken into\'">';

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
  programs.unshift(await startDashboard(ports));
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { protocolVersion: 5 });
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
});

after(async () => {
  await browser?.close();
  await client?.endAsync();
  for (const program of programs) await program.stop();
});

test('a hostile payload is text, and so are its properties', async () => {
  await client.publishAsync('plant/hall 1/sensor', JSON.stringify({ temperature: 20.5, note: HOSTILE }), {
    retain: true,
    properties: { contentType: 'application/json', userProperties: { site: HOSTILE } },
  });
  await open('plant/hall%201/sensor');
  await page.getByLabel('Payload').getByText('"temperature": 20.5').waitFor();
  await page.getByText('User: site').waitFor();
  assert.equal(await page.locator('main img').count(), 0);
  assert.match(await page.title(), /Explorer/);
});

test('a number becomes a chart that grows', async () => {
  await page.getByRole('button', { name: 'Chart of $.temperature' }).click();
  for (const temperature of [21, 22.5]) {
    await client.publishAsync('plant/hall 1/sensor', JSON.stringify({ temperature }), { qos: 1 });
  }
  await page
    .getByRole('img', { name: /^\$\.temperature of plant\/hall 1\/sensor, 3 points, last 22\.5$/ })
    .waitFor();
});

test('what has changed is shown, and every view passes', async () => {
  await page.getByRole('tab', { name: 'Changes' }).click();
  await page.getByText('Lines added: 1, removed: 1.').waitFor();
  await isAccessible(page, 'changes');
  await page.getByRole('tab', { name: 'History' }).click();
  await page.getByText('3 messages, newest first.').waitFor();
  await isAccessible(page, 'history');
  await page.getByRole('tab', { name: 'Value' }).click();
  await shootAll(page, 'explorer-value');
  await isAccessible(page, 'value');
});

test('a picture is drawn, from the bytes of its payload', async () => {
  await client.publishAsync('plant/picture', PICTURE, { retain: true });
  await open('plant/picture');
  const picture = page.getByRole('img', { name: 'The payload, image/png' });
  await picture.waitFor();
  assert.equal(await picture.evaluate((image) => image.decode().then(() => image.naturalWidth)), 10);
});

test('gzip is unpacked', async () => {
  await client.publishAsync('plant/packed', gzipSync('{"a":1}'), { retain: true });
  await open('plant/packed');
  await page.getByText('JSON in gzip, 7 bytes unpacked').waitFor();
  await page.getByLabel('Payload').getByText('"a": 1').waitFor();
});

test('a message is written by hand and arrives with all that was said', async () => {
  await client.subscribeAsync('plant/lamp');
  await page.getByRole('tab', { name: 'Publish' }).click();
  await page.getByRole('textbox', { name: 'Topic', exact: true }).fill('plant/lamp');
  // Key by key: what is typed between two frames must not get lost.
  await page.getByRole('textbox', { name: 'Payload' }).pressSequentially('{"brightness": 80, "fade": true}');
  await page.getByRole('combobox', { name: 'QoS' }).selectOption('2');
  await page.locator('summary', { hasText: 'Properties' }).click();
  await page.getByRole('textbox', { name: 'Content Type' }).fill('application/json');
  await page.getByRole('textbox', { name: 'Correlation Data' }).fill('0x01ff');
  await page.getByRole('button', { name: 'Add a user property' }).click();
  await page.getByRole('textbox', { name: 'Name 1' }).fill('from');
  await page.getByRole('textbox', { name: 'Value 1' }).fill('Zürich');
  await shootAll(page, 'explorer-publish');
  await isAccessible(page, 'publish');
  const arrived = once(client, 'message', { signal: AbortSignal.timeout(60_000) });
  await page.keyboard.press('Control+Enter');
  const [, payload, packet] = await arrived;
  assert.equal(payload.toString(), '{"brightness": 80, "fade": true}');
  assert.equal(packet.properties.contentType, 'application/json');
  assert.deepEqual([...packet.properties.correlationData], [1, 255]);
  assert.deepEqual({ ...packet.properties.userProperties }, { from: 'Zürich' });
  await page.getByText('the broker took it.').waitFor();
});

test('it is sent again and again, as often as asked', async () => {
  await page.getByRole('textbox', { name: 'Every, seconds' }).fill('0.1');
  await page.getByRole('textbox', { name: 'Times' }).fill('3');
  let count = 0;
  const done = new Promise((resolve) => client.on('message', () => ++count === 3 && resolve()));
  await page.getByRole('button', { name: 'Repeat' }).click();
  await done;
  await page.getByRole('button', { name: 'Repeat' }).waitFor();
});

test('the browser had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});

async function open(path) {
  await page.goto(`http://127.0.0.1:${ports.httpPort}/explore/${path}?filter=%23`);
  await isConnected(page);
  await page.getByTestId('topic').waitFor();
}
