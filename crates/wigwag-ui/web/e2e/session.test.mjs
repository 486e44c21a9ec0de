/**
 * Logging in where the server of the page is the broker, in a real browser: by a session, which outlives a reload and
 * leaves no password in the page. There is no such server with Mosquitto, so E2E_BROKER does not matter here.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import mqtt from 'mqtt';

import { isAccessible, isConnected, launchBrowser, openPage, shootAll } from './browser.mjs';
import { freePorts, startBrokerWithPage } from './processes.mjs';

const USERS = [
  { name: 'ada', password: 'correct horse', topics: ['#'] },
  { name: 'joe', password: 'another horse', topics: ['device/oven/#'] },
];

let browser;
let page;
let complaints;
let broker;
let httpPort;

before(async () => {
  const [mqttPort, port] = await freePorts(2);
  httpPort = port;
  broker = await startBrokerWithPage({ mqttPort, httpPort, users: USERS });
  const [{ name: username, password }] = USERS;
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { username, password });
  for (const id of ['press', 'oven']) {
    const state = JSON.stringify({ deviceId: id, status: 'idle', temperature: 21, timestamp: 1 });
    await client.publishAsync(`device/${id}/state`, state, { qos: 1, retain: true });
  }
  await client.endAsync();
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
});

after(async () => {
  await browser?.close();
  await broker?.stop();
});

test('who is nobody is asked, told when the password is wrong, and let in when it is right', async () => {
  await page.goto(url('/settings'));
  const dialog = page.getByRole('dialog', { name: 'Log in to the broker' });
  await dialog.waitFor();
  await dialog.getByText('The password is kept nowhere').waitFor();
  await dialog.getByLabel('User name').fill('ada');
  await dialog.getByLabel('Password').fill('wrong');
  await page.keyboard.press('Enter');
  await dialog.getByText(/^The broker refused this user name and password/).waitFor();
  await isAccessible(page, 'login by session');
  await shootAll(page, 'login-session');
  await logIn('ada');
  await isConnected(page);
  await page.getByText('To the broker you are ada.').waitFor();
});

test('the session outlives a reload and leads to all screens, without a password in the page', async () => {
  await page.reload();
  await isConnected(page);
  await page.getByText('To the broker you are ada.').waitFor();
  assert.ok(!(await kept()).includes('horse'));
  await page.goto(url('/explore'));
  await isConnected(page);
  await page.goto(url('/metrics-of-nobody'));
  await page.getByRole('heading', { name: 'Page not found' }).waitFor();
  assert.equal(await page.getByRole('dialog').count(), 0);
});

test('a logout ends it, and somebody else sees nothing of what was there', async () => {
  await page.goto(url('/explore/device/press/state'));
  await row('press').waitFor();
  await page.getByTestId('topic').getByText('device/press/state', { exact: true }).waitFor();
  await go('Devices');
  await page.locator('article[data-device="press"]').waitFor();
  await go('Settings');
  // The page begins anew; what is typed before that is lost.
  const anew = page.waitForEvent('load');
  await page.getByRole('button', { name: 'Log out' }).click();
  await anew;
  await logIn('joe');
  await isConnected(page);
  await page.getByText('To the broker you are joe.').waitFor();
  await go('Devices');
  await page.locator('article[data-device="oven"]').waitFor();
  assert.equal(await page.locator('article[data-device="press"]').count(), 0);
  await go('Explorer');
  await row('device').click();
  await row('oven').waitFor();
  assert.equal(await row('press').count(), 0);
});

test('who logs out in another window is asked here, and not told of a refusal', async () => {
  await go('Settings');
  await page.context().request.delete(url('/api/v1/session'));
  const dialog = page.getByRole('dialog', { name: 'Log in to the broker' });
  await dialog.waitFor();
  assert.equal(await dialog.getByText(/^The broker refused/).count(), 0);
  await logIn('ada');
  await isConnected(page);
  await page.getByText('To the broker you are ada.').waitFor();
  await go('Devices');
  await page.locator('article[data-device="press"]').waitFor();
});

test('a session that the broker no longer knows asks again', async () => {
  const cookies = await page.context().cookies();
  assert.deepEqual(
    cookies.map(({ httpOnly, sameSite }) => ({ httpOnly, sameSite })),
    [{ httpOnly: true, sameSite: 'Strict' }],
  );
  await page.context().clearCookies();
  await page.goto(url('/settings'));
  await page.getByRole('dialog', { name: 'Log in to the broker' }).waitFor();
});

test('the browser had nothing else to complain about', () => {
  const unexpected = complaints.filter(
    (text) => !/status of 401|WebSocket connection to .* failed/.test(text),
  );
  assert.deepEqual(unexpected, []);
});

async function logIn(name) {
  const dialog = page.getByRole('dialog', { name: 'Log in to the broker' });
  await dialog.getByLabel('User name').fill(name);
  await dialog.getByLabel('Password').fill(USERS.find((user) => user.name === name).password);
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
}

function row(name) {
  return page.getByRole('treeitem', { name: new RegExp(`^${name}(?:[ ,]|$)`) });
}

/** Without loading the page anew. */
function go(screen) {
  return page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: screen }).click();
}

function kept() {
  return page.evaluate(() =>
    JSON.stringify([
      { ...globalThis.localStorage },
      { ...globalThis.sessionStorage },
      globalThis.document.cookie,
      globalThis.document.documentElement.innerHTML,
    ]),
  );
}

function url(path) {
  return `http://127.0.0.1:${httpPort}${path}`;
}
