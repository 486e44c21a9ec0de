/**
 * The Explorer with our own broker, which keeps the tree: nobody is asked what to subscribe to, open topics have every
 * message, what is cleared comes back whole, and the tree survives the broker. Then the flood of `explorer.test.mjs`.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import mqtt from 'mqtt';

import { isAccessible, isConnected, launchBrowser, openPage, RECOVERY_MS, shootAll } from './browser.mjs';
import { watchFlood } from './flood.mjs';
import { freePorts, startUp } from './processes.mjs';

let browser;
let page;
let complaints;
let ports;
let up;
let client;

before(async () => {
  const [mqttPort, wsPort, httpPort] = await freePorts(3);
  ports = { devices: 0, mqttPort, wsPort, httpPort };
  up = await startUp(ports);
  await connect();
  await client.publishAsync('plant/line1/temperature', '21.5', {
    qos: 1,
    retain: true,
    properties: { contentType: 'text/plain', userProperties: { unit: '°C' } },
  });
  await client.publishAsync('plant/line1/log', 'x'.repeat(10_000), { qos: 1, retain: true });
  await client.publishAsync('office/<b>door</b>', '<script>alert(1)</script>', { qos: 1, retain: true });
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
});

after(async () => {
  await browser?.close();
  await client?.endAsync(true);
  await up?.stop();
});

test('shows the tree of the broker without being told what to subscribe to', async () => {
  await page.goto(url('/explore'));
  await isConnected(page);
  await row('plant').waitFor();
  await row('$SYS').waitFor();
  await page.getByText('The broker’s own tree').waitFor();
  assert.equal(new URL(page.url()).search, '');
  assert.equal(await page.locator('b').count(), 0);
});

test('counts all messages, and has none of topics that are closed', async () => {
  for (let count = 0; count < 500; count++) client.publish('burst/a', String(count));
  await client.publishAsync('burst/b', 'last', { qos: 1 });
  await row('burst').click();
  await row('a').click();
  await history().click();
  await page.getByText(/^The last 1 of 500 messages/).waitFor();
});

test('an open topic has every message with its properties', async () => {
  await row('plant').click();
  await row('line1').click();
  await row('temperature').click();
  await page.getByTestId('topic').getByText('plant/line1/temperature', { exact: true }).waitFor();
  await page.getByRole('tab', { name: 'Value' }).click();
  await page.getByText('text/plain').waitFor();
  for (let count = 0; count < 30; count++) client.publish('plant/line1/temperature', `2${count}`);
  await history().click();
  await page.getByText('31 messages, newest first.').waitFor();
  // Of a long one, the tree has the beginning.
  await row('log').click();
  await page.getByRole('tab', { name: 'Value' }).click();
  await page.getByText('9.8 KiB').first().waitFor();
});

test('looks as it should, and is accessible', async () => {
  await isAccessible(page, 'Explorer with the tree of the broker');
  await shootAll(page, 'tree-topic');
});

test('what is cleared comes back whole', async () => {
  await tree().focus();
  await page.keyboard.type('p');
  await page.keyboard.press('Delete');
  await page.getByRole('button', { name: 'Clear 2' }).click();
  await page.getByTestId('clearing').getByText('Cleared 2 of 2').waitFor();
  await row('plant').getByText('R', { exact: true }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: /^Undo/ }).click();
  await page.getByTestId('clearing').getByText('Published 2 again').waitFor();
  const [log, temperature] = await retained('plant/#');
  assert.equal(log.payload.length, 10_000);
  assert.equal(temperature.payload.toString(), '21.5');
  assert.equal(temperature.properties.contentType, 'text/plain');
  assert.equal(temperature.properties.userProperties.unit, '°C');
});

test('a pause holds the latest of each topic', async () => {
  await page.getByRole('button', { name: 'Pause', exact: true }).first().click();
  for (let count = 0; count < 20; count++) client.publish('attic', String(count));
  await page
    .getByTestId('pause')
    .getByText(/^\d+ messages held/)
    .waitFor();
  assert.equal(await row('attic').count(), 0);
  await page.getByRole('button', { name: 'Resume' }).click();
  await row('attic').waitFor();
});

test('every message may be chosen instead, and the tree of the broker again', async () => {
  await page.getByRole('button', { name: 'Subscribe instead' }).click();
  await page.getByRole('heading', { name: 'Which topics do you want to see?' }).waitFor();
  await isAccessible(page, 'Explorer that asks, and offers the tree of the broker');
  await page.getByRole('button', { name: 'Subscribe to #', exact: true }).click();
  await row('plant').waitFor();
  await page.waitForURL(/filter=%23/);
  assert.equal(await row('$SYS').count(), 0);
  await page.getByRole('button', { name: 'The broker’s tree' }).click();
  await row('$SYS').waitFor();
  await page.waitForURL(({ search }) => !search.includes('filter'));
});

test('the tree goes on after the broker was away', async () => {
  await up.kill();
  const told = page.getByText(/^The tree stands still:/);
  await told.waitFor();
  up = await startUp(ports);
  await client.endAsync(true);
  await connect();
  await client.publishAsync('after/restart', '1', { qos: 1, retain: true });
  await row('after').waitFor({ timeout: RECOVERY_MS });
  await told.waitFor({ state: 'detached' });
  complaints.length = 0;
});

test('20,000 topics at 5,000 messages a second all come, and what that asks of the page is told', async (context) => {
  await watchFlood(context, { browser, page, client });
});

test('the browser had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});

async function connect() {
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports.mqttPort}`, { protocolVersion: 5 });
}

/** What a new subscriber gets, by topic: all up to a message that was retained for the question. */
async function retained(filter) {
  const messages = [];
  const asking = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports.mqttPort}`, { protocolVersion: 5 });
  const answered = new Promise((resolve) => {
    asking.on('message', (topic, payload, { properties }) => {
      if (topic === 'retained/asked') resolve();
      else messages.push({ topic, payload, properties });
    });
  });
  await asking.subscribeAsync(filter, { qos: 1 });
  await asking.subscribeAsync('retained/asked', { qos: 1 });
  await asking.publishAsync('retained/asked', 'x', { qos: 1 });
  await answered;
  await asking.endAsync(true);
  return messages.sort((left, right) => (left.topic < right.topic ? -1 : 1));
}

function tree() {
  return page.getByRole('tree', { name: 'Topics' });
}

function history() {
  return page.getByRole('tab', { name: 'History' });
}

function row(name) {
  const start = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return page.getByRole('treeitem', { name: new RegExp(`^${start}(?:[ ,]|$)`) });
}

function url(path) {
  return `http://127.0.0.1:${ports.httpPort}${path}`;
}
