/**
 * Two users of one page, one after the other, in a real browser: what the first has seen, written and begun is gone for
 * the second, and the other broker of the page goes on. The logins are those of MQTT, as with any broker elsewhere; told
 * what to use as `dashboard.test.mjs` is.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import mqtt from 'mqtt';

import { isConnected, launchBrowser, openPage } from './browser.mjs';
import { freePorts, startBroker, startBrokerWithUsers, startDashboard } from './processes.mjs';

const ADA = { name: 'ada', password: 'correct horse', topics: ['#'] };
const JOE = { name: 'joe', password: 'another horse', topics: ['device/oven/#'] };

let browser;
let page;
let complaints;
let httpPort;
let otherPort;
const programs = [];
const clients = [];

before(async () => {
  const [mqttPort, wsPort, dashboardPort, otherMqttPort, otherWsPort] = await freePorts(5);
  httpPort = dashboardPort;
  otherPort = otherWsPort;
  programs.push(await startBrokerWithUsers({ mqttPort, wsPort, users: [ADA, JOE] }));
  programs.push(await startBroker({ mqttPort: otherMqttPort, wsPort: otherWsPort }));
  programs.push(await startDashboard({ wsPort, httpPort }));
  const login = { username: ADA.name, password: ADA.password };
  clients.push(await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, login));
  clients.push(await mqtt.connectAsync(`mqtt://127.0.0.1:${otherMqttPort}`));
  for (const id of ['press', 'oven']) await publishState(clients[0], id, true);
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
});

after(async () => {
  await browser?.close();
  for (const client of clients) await client.endAsync(true);
  for (const program of programs) await program.stop();
});

test('a link to what is not for everybody leads there after the login', async () => {
  // The other broker first, which nobody logs in to.
  await page.goto(url(`/devices?broker=ws://127.0.0.1:${otherPort}`));
  await isConnected(page);
  await publishState(clients[1], 'passer-by', false);
  await card('passer-by').waitFor();
  await page.evaluate(() => {
    const { history, PopStateEvent } = globalThis;
    history.pushState({}, '', '/devices/press?range=5m');
    globalThis.dispatchEvent(new PopStateEvent('popstate', { state: {} }));
  });
  await logIn(ADA);
  await isConnected(page);
  await page.getByRole('heading', { level: 1, name: 'press' }).waitFor();
  assert.equal(page.url(), url('/devices/press?range=5m'));
});

test('the same user again loses nothing', async () => {
  await publishState(clients[0], 'passing', false);
  await go('Explorer');
  await page.getByRole('button', { name: 'Subscribe to #', exact: true }).click();
  await row('device').click();
  await row('press').click();
  await row('state').click();
  await page.getByTestId('topic').getByText('device/press/state', { exact: true }).waitFor();
  await page.getByRole('button', { name: /^Chart of .*temperature/ }).click();
  await page.getByRole('heading', { name: 'Charts' }).waitFor();
  await page.getByRole('tab', { name: 'Publish' }).click();
  await draftTopic().fill('plans/of/ada');
  await page.getByRole('button', { name: 'Record this branch' }).click();
  await page.getByRole('button', { name: 'Stop recording' }).waitFor();
  // Of both connections, of the Explorer and of the recording.
  await hasWorkers(4);
  const workers = page.workers();
  await askForLogin();
  await logIn(ADA);
  await isConnected(page);
  await row('press').waitFor();
  assert.equal(await draftTopic().inputValue(), 'plans/of/ada');
  await page.getByRole('button', { name: 'Stop recording' }).waitFor();
  await go('Devices');
  await card('passing').waitFor();
  assert.deepEqual(page.workers(), workers);
});

test('somebody else finds nothing of it, on no screen and in no worker', async () => {
  await go('Metrics');
  await go('Explorer');
  await row('press').waitFor();
  // The first one is that of the other broker.
  const [, ...before] = page.workers();
  await askForLogin();
  await logIn(JOE);
  await isConnected(page);
  await page.getByRole('heading', { name: 'Which topics do you want to see?' }).waitFor();
  await page.waitForURL(url('/explore'));
  await Promise.all(before.map((worker) => page.workers().includes(worker) && worker.waitForEvent('close')));
  await hasWorkers(2);
  await hasNothingOf('press', 'passing', 'plans/of/ada', 'Charts', 'Stop recording');
  await go('Devices');
  await card('oven').waitFor();
  await hasNothingOf('press', 'passing');
  await go('Settings');
  await page.getByText('To the broker you are joe.').waitFor();
});

test('a logout leaves nothing behind, and the other broker is as it was', async () => {
  await page.getByRole('button', { name: 'Log out' }).click();
  const dialog = page.getByRole('dialog', { name: 'Log in to the broker' });
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await page.locator(':focus').and(page.getByRole('main')).waitFor();
  await page.getByText('To the broker you are nobody in particular.').waitFor();
  await go('Devices');
  await page.getByTestId('banner').getByRole('button', { name: 'Log in' }).waitFor();
  await hasNothingOf('oven', 'press');
  await page.getByTestId('connection').click();
  await page
    .getByRole('dialog')
    .getByRole('button', { name: new RegExp(`^ws://127.0.0.1:${otherPort}`) })
    .click();
  await card('passer-by').waitFor();
});

test('the browser had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});

function publishState(client, id, retain) {
  const state = JSON.stringify({ deviceId: id, status: 'idle', temperature: 21, timestamp: 1 });
  return client.publishAsync(`device/${id}/state`, state, { qos: 1, retain });
}

async function askForLogin() {
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: /^Find/ }).waitFor();
  await page.keyboard.type('log in');
  await page.getByRole('option', { selected: true }).filter({ hasText: 'Log in to the broker' }).waitFor();
  await page.keyboard.press('Enter');
}

async function logIn({ name, password }) {
  const dialog = page.getByRole('dialog', { name: 'Log in to the broker' });
  await dialog.getByLabel('User name').fill(name);
  await dialog.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
}

async function hasNothingOf(...words) {
  const text = await page.evaluate(() => globalThis.document.documentElement.innerText);
  const fields = await page
    .locator('input, textarea')
    .evaluateAll((elements) => elements.map(({ value }) => value));
  for (const word of words) assert.ok(![text, ...fields].join('\n').includes(word), `${word} in ${text}`);
}

/** The browser test hears of them a moment after the page. */
async function hasWorkers(count) {
  const are = () => page.workers().length === count;
  if (!are()) await page.waitForEvent('worker', { predicate: are });
}

function draftTopic() {
  return page.getByRole('textbox', { name: 'Topic', exact: true });
}

function card(id) {
  return page.locator(`article[data-device="${id}"]`);
}

function row(name) {
  return page.getByRole('treeitem', { name: new RegExp(`^${name}(?:[ ,]|$)`) });
}

/** Without loading the page anew. */
function go(screen) {
  return page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: screen }).click();
}

function url(path) {
  return `http://127.0.0.1:${httpPort}${path}`;
}
