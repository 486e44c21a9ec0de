/**
 * The Explorer in a real browser: a walk through the tree with the keyboard, a branch that is cleared and brought back,
 * and a flood of 20,000 topics, of which it prints what the page's main thread had to do.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import mqtt from 'mqtt';

import { isAccessible, isConnected, launchBrowser, openPage, shootAll } from './browser.mjs';
import { watchFlood } from './flood.mjs';
import { freePorts, startBroker, startDashboard } from './processes.mjs';

const RETAINED = {
  'plant/line1/temperature': '21.5',
  'plant/line1/state': '{"running":true}',
  'plant/line2/temperature': '19.0',
  'office/<img src=x onerror=alert(1)>': '<script>alert(1)</script>',
};

let browser;
let page;
let complaints;
let broker;
let dashboard;
let client;
let address;
let httpPort;

before(async () => {
  const ports = await freePorts(3);
  const [mqttPort, wsPort] = ports;
  httpPort = ports[2];
  broker = await startBroker({ mqttPort, wsPort });
  dashboard = await startDashboard({ wsPort, httpPort });
  address = `mqtt://127.0.0.1:${mqttPort}`;
  client = await mqtt.connectAsync(address, { protocolVersion: 5 });
  for (const [topic, payload] of Object.entries(RETAINED)) {
    await client.publishAsync(topic, payload, { qos: 1, retain: true });
  }
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
});

after(async () => {
  await browser?.close();
  await client?.endAsync(true);
  await Promise.all([dashboard, broker].map((program) => program?.stop()));
});

test('asks what to subscribe to, and shows that as a tree', async () => {
  await page.goto(url('/explore'));
  await isConnected(page);
  await isAccessible(page, 'Explorer without a filter');
  await page.getByRole('button', { name: 'Subscribe to #', exact: true }).click();
  await row('plant').waitFor();
  await page.waitForURL(/filter=%23/);
});

test('the keyboard walks through the tree and opens a topic', async () => {
  await tree().focus();
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowRight');
  await row('line1').waitFor();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('*');
  await row('temperature').nth(1).waitFor();
  await page.keyboard.press('ArrowRight');
  // Should the letters come so slowly that each begins anew, those behind the first lead nowhere else.
  await page.keyboard.type('tem');
  await page.keyboard.press('Enter');
  await page.getByTestId('topic').getByText('plant/line1/temperature', { exact: true }).waitFor();
  assert.equal(new URL(page.url()).pathname, '/explore/plant/line1/temperature');
});

test('looks as it should, and is accessible', async () => {
  await isAccessible(page, 'Explorer with a tree');
  await shootAll(page, 'explorer-topic');
});

test('a search shows what it finds, and the link with it shows the same', async () => {
  await page.getByRole('searchbox').fill('running');
  await page.getByTestId('tree-figures').getByText('1 found').waitFor();
  await row('state').waitFor();
  await row('temperature').waitFor({ state: 'detached' });
  await page.waitForURL(/running/);
  const { page: second } = await openPage(browser);
  await second.goto(page.url());
  await second.getByRole('treeitem', { name: /^state/ }).waitFor();
  assert.equal(await second.getByRole('searchbox').inputValue(), 'running');
  await second.close();
  await page.getByRole('searchbox').fill('');
  await row('office').waitFor();
});

test('names and payloads are text, whatever they say', async () => {
  await row('office').click();
  await row('<img src=x onerror=alert(1)>').click();
  await page.getByTestId('topic').getByText('office/<img src=x onerror=alert(1)>').waitFor();
  assert.equal(await page.locator('img').count(), 0);
});

test('a pause holds messages, and its end shows them', async () => {
  await page.getByRole('button', { name: 'Pause', exact: true }).first().click();
  await page.getByTestId('pause').waitFor();
  await client.publishAsync('attic/new', '1', { qos: 1 });
  await page
    .getByTestId('pause')
    .getByText(/^1 messages? held/)
    .waitFor();
  assert.equal(await row('attic').count(), 0);
  await page.getByRole('button', { name: 'Resume' }).click();
  await row('attic').waitFor();
});

test('a branch of retained messages is cleared, and brought back', async () => {
  await tree().focus();
  await page.keyboard.type('p');
  await page.keyboard.press('Delete');
  await page.getByTestId('clear-count').getByText('Clear 3 retained messages').waitFor();
  await page.getByRole('button', { name: 'Clear 3' }).click();
  await page.getByTestId('clearing').getByText('Cleared 3 of 3').waitFor();
  assert.deepEqual(await retained('plant/#'), []);
  await page.getByRole('button', { name: /^Undo/ }).click();
  await page.getByTestId('clearing').getByText('Published 3 again').waitFor();
  assert.deepEqual(
    await retained('plant/#'),
    Object.keys(RETAINED)
      .filter((topic) => topic.startsWith('plant'))
      .sort(),
  );
});

test('more than a hundred are only cleared when the branch is typed', async () => {
  await Promise.all(
    Array.from({ length: 101 }, (_, index) =>
      client.publishAsync(`many/${index}`, 'x', { qos: 1, retain: true }),
    ),
  );
  await row('many').getByText('101 topics').waitFor();
  await row('many').click();
  await page.getByRole('group', { name: 'Branch' }).getByText('many', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Clear retained' }).click();
  await page.getByText('Clear 101 retained messages').waitFor();
  const confirm = page.getByRole('button', { name: 'Clear 101' });
  assert.equal(await confirm.getAttribute('aria-disabled'), 'true');
  await page.getByLabel('Type many to confirm').fill('many');
  await confirm.click();
  await page.getByTestId('clearing').getByText('Cleared 101 of 101').waitFor();
});

test('20,000 topics at 5,000 messages a second all come, and what that asks of the page is told', async (context) => {
  await watchFlood(context, { browser, page, client });
});

test('the browser had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});

/** The topics that a new subscriber gets: those up to a message that was retained for the question. */
async function retained(filter) {
  const topics = [];
  const asking = await mqtt.connectAsync(address, { protocolVersion: 5 });
  const answered = new Promise((resolve) => {
    asking.on('message', (topic) => {
      if (topic === 'retained/asked') resolve();
      else topics.push(topic);
    });
  });
  await asking.subscribeAsync(filter, { qos: 1 });
  await asking.subscribeAsync('retained/asked', { qos: 1 });
  await asking.publishAsync('retained/asked', 'x', { qos: 1 });
  await answered;
  await asking.endAsync(true);
  return topics.sort();
}

function tree() {
  return page.getByRole('tree', { name: 'Topics' });
}

function row(name) {
  const start = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return page.getByRole('treeitem', { name: new RegExp(`^${start}(?:[ ,]|$)`) });
}

function url(path) {
  return `http://127.0.0.1:${httpPort}${path}`;
}
