/**
 * What holds on every screen, in a real browser: a walk without a mouse, deep links, nothing that axe-core objects to,
 * every size and theme; and a broker that wants to know who is there.
 */
import assert from 'node:assert/strict';
import { get as httpGet } from 'node:http';
import { after, before, test } from 'node:test';

import mqtt from 'mqtt';

import {
  isAccessible,
  isConnected,
  launchBrowser,
  openPage,
  PHONE,
  screens,
  shootAll,
  WIDE,
} from './browser.mjs';
import { freePorts, startBroker, startBrokerWithUsers, startDashboard, startDevice } from './processes.mjs';

/** What a first visit may cost, packed as every browser understands it. */
const FIRST_PAGE_BYTES_MAX = 300 * 1024;

let browser;
let page;
let complaints;
let ports;
const programs = [];

before(async () => {
  const [mqttPort, wsPort, httpPort] = await freePorts(3);
  ports = { mqttPort, wsPort, httpPort };
  programs.push(await startBroker(ports));
  programs.push(await startDashboard(ports));
  for (const id of ['1', '2']) programs.unshift(await startDevice({ ...ports, id }));
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
  await page.goto(url('/devices'));
  await isConnected(page);
  await page.locator('article[data-device="2"]').waitFor();
});

after(async () => {
  await browser?.close();
  for (const program of programs) await program.stop();
});

test('every screen opens by its address and by its link, and is accessible', async () => {
  const all = await screens(page);
  assert.ok(all.length >= 2);
  for (const { name, path } of all) {
    await page.goto(url(path));
    await page.getByRole('heading', { level: 1 }).waitFor();
    await isConnected(page);
    await isAccessible(page, name);
    await page.goto(url('/no/such/page'));
    await page.getByRole('navigation').getByRole('link', { name }).click();
    await page.getByRole('heading', { level: 1, name }).waitFor();
    await page.locator(':focus').and(page.getByRole('main')).waitFor();
  }
});

test('on a phone the connection stands beside the title, on every screen', async () => {
  await page.setViewportSize(PHONE);
  for (const { name, path } of [...(await screens(page)), { name: 'a device', path: '/devices/1' }]) {
    await page.goto(url(path));
    await isConnected(page);
    const title = await page.getByRole('heading', { level: 1 }).boundingBox();
    const pill = await page.getByTestId('connection').boundingBox();
    assert.ok(pill.y < title.y + title.height && title.y < pill.y + pill.height, `${name} takes two lines`);
    assert.ok(title.x + title.width <= pill.x, `${name} is covered`);
  }
  await page.setViewportSize(WIDE);
});

test('what the connection takes of the screen does not depend on how much comes', async () => {
  await page.goto(url('/devices'));
  await isConnected(page);
  const pill = page.getByTestId('connection');
  await pill.getByText('0/s').nth(1).waitFor();
  const before = await pill.boundingBox();
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports.mqttPort}`);
  // For as long as it takes to be seen: it is the rate of the last seconds.
  const much = setInterval(() => {
    for (let count = 0; count < 200; count++) client.publish('device/1/online', 'true');
  }, 100);
  try {
    await pill.getByText(/^[\d,]{3,}\/s/).waitFor();
    assert.deepEqual(await pill.boundingBox(), before);
  } finally {
    clearInterval(much);
    await client.endAsync();
  }
});

test('every screen fits a phone, a desk and a wall, by day and by night', async () => {
  for (const { name, path } of await screens(page)) {
    await page.goto(url(path));
    await isConnected(page);
    await shootAll(page, `screen-${name.toLowerCase()}`);
  }
});

test('with the keyboard alone, every screen is reached, and everything on it that can be pressed', async () => {
  await page.goto(url('/devices'));
  await isConnected(page);
  await page.keyboard.press('Tab');
  await page.locator(':focus').getByText('Skip to the page').waitFor();
  await page.keyboard.press('Enter');
  await page.locator(':focus').and(page.getByRole('main')).waitFor();
  for (const { name } of await screens(page)) {
    await goByPalette(name);
    await walk(name);
  }
});

test('the dialogs are accessible, keep the focus and give it back', async () => {
  await page.goto(url('/settings'));
  const button = page.getByRole('button', { name: 'Show the keys' });
  await button.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await isAccessible(page, 'keys');
  await shootAll(page, 'keys');
  await page.keyboard.press('Escape');
  await page.locator(':focus').and(button).waitFor();

  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  await isAccessible(page, 'palette');
  await shootAll(page, 'palette');
  for (let presses = 0; presses < 5; presses++) await page.keyboard.press('Tab');
  assert.ok(await page.evaluate(focusIsInDialog), 'Tab leads out of the dialog');
  await page.keyboard.press('Escape');
  await page.locator(':focus').and(button).waitFor();
});

test('the keys of the help sheet go where it says', async () => {
  await page.goto(url('/no/such/page'));
  await isConnected(page);
  await page.keyboard.type('?');
  const sheet = page.getByRole('dialog', { name: 'Keys' });
  await sheet.waitFor();
  const going = sheet.locator('dl > div').filter({ hasText: 'Go to ' });
  const ways = await going.evaluateAll((rows) =>
    rows.map((row) => ({
      name: row.querySelector('dt').textContent.replace('Go to ', ''),
      keys: [...row.querySelectorAll('kbd')].map((key) => key.textContent),
    })),
  );
  await page.keyboard.press('Escape');
  await sheet.waitFor({ state: 'detached' });
  assert.deepEqual(
    ways.map(({ name }) => name),
    (await screens(page)).map(({ name }) => name),
  );
  for (const { name, keys } of ways) {
    for (const key of keys) await page.keyboard.press(key);
    await page.getByRole('heading', { level: 1, name }).waitFor();
  }
});

test('a deep link that ends like a file is a page', async () => {
  await page.goto(url('/no/such/page.json'));
  await page.getByRole('heading', { name: 'Page not found' }).waitFor();
  await isConnected(page);
});

test('times are shown as chosen, also after a reload', async () => {
  await page.goto(url('/settings'));
  await page.getByRole('radio', { name: /^UTC/ }).click();
  await page.goto(url('/devices'));
  await page
    .getByTestId('log')
    .getByText(/^\d\d:\d\d:\d\d\.\d{3}Z$/)
    .first()
    .waitFor();
});

test('a broker with users asks, is told, and nothing is stored', async () => {
  const [mqttPort, wsPort] = await freePorts(2);
  const user = { name: 'ada', password: 'correct horse', topics: ['#'] };
  programs.unshift(await startBrokerWithUsers({ mqttPort, wsPort, users: [user] }));
  await page.goto(url(`/devices?broker=ws://127.0.0.1:${wsPort}`));
  const dialog = page.getByRole('dialog', { name: 'Log in to the broker' });
  await dialog.waitFor();
  await dialog.getByText('The address of this page names this broker.').waitFor();
  await isAccessible(page, 'login');
  await shootAll(page, 'login');

  await page.keyboard.type('ada');
  await page.keyboard.press('Tab');
  await page.keyboard.type('wrong');
  await page.keyboard.press('Enter');
  await dialog.getByText(/^The broker refused this user name and password/).waitFor();
  await shootAll(page, 'login-refused');
  await dialog.getByLabel('Password').fill(user.password);
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  await isConnected(page);

  await page.keyboard.type('gs');
  await page.getByText('To the broker you are ada.').waitFor();
  const stored = await page.evaluate(() =>
    JSON.stringify([{ ...globalThis.localStorage }, { ...globalThis.sessionStorage }]),
  );
  assert.ok(!stored.includes('horse') && !stored.includes('ada'), stored);
  await page.reload();
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await page.getByTestId('banner').getByRole('button', { name: 'Log in' }).waitFor();

  await page
    .getByTestId('known-broker')
    .filter({ hasText: 'From the server of this page' })
    .getByRole('button', { name: /^Show / })
    .click();
  await isConnected(page);
  assert.equal(page.url(), url('/settings'));
});

test('a first visit costs little, and the code of other screens is not part of it', async (context) => {
  const { page: visitor } = await openPage(browser);
  const addresses = new Set();
  visitor.on('response', (response) => addresses.add(response.url()));
  await visitor.goto(url('/devices'));
  await isConnected(visitor);
  await visitor.close();
  // One after the other: the server takes a bounded number of connections from one address.
  let bytes = 0;
  for (const address of addresses) bytes += await packedSize(address);
  context.diagnostic(`${addresses.size} files, ${(bytes / 1024).toFixed(1)} KiB`);
  // Neither what another screen needs, nor what reads devices that nobody here has.
  const others = /SettingsPage|home-assistant|sparkplug/;
  assert.ok(![...addresses].some((address) => others.test(address)), [...addresses].join(' '));
  assert.ok(bytes < FIRST_PAGE_BYTES_MAX, `${bytes} bytes of ${[...addresses].join(' ')}`);
});

test('the browser had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});

function url(path) {
  return `http://127.0.0.1:${ports.httpPort}${path}`;
}

async function packedSize(address) {
  return new Promise((resolve, reject) => {
    const request = httpGet(address, { headers: { 'accept-encoding': 'gzip' } }, (response) => {
      let bytes = 0;
      response.on('data', (chunk) => (bytes += chunk.length));
      response.on('end', () => resolve(bytes));
    });
    request.on('error', reject);
  });
}

async function goByPalette(name) {
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  await page.keyboard.type(name);
  await page.getByRole('option', { selected: true }).filter({ hasText: name }).waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name }).waitFor();
}

/** Tabs through a page: the focus is always somewhere that can be seen, and comes to an end. */
async function walk(name) {
  const seen = new Set();
  for (let presses = 0; presses < 200; presses++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(describeFocus);
    if (stop === undefined || seen.has(stop.key)) break;
    seen.add(stop.key);
    assert.ok(stop.isVisible, `${name}: the focus is on what cannot be seen: ${stop.key}`);
    assert.ok(stop.hasRing, `${name}: the focus cannot be seen on ${stop.key}`);
  }
  assert.ok(seen.size > 0, `${name}: Tab leads nowhere`);
}

/* These two run in the page. */

function focusIsInDialog() {
  const focus = globalThis.document.activeElement;
  // Past the last element, the focus is with the browser's own bars.
  return focus === globalThis.document.body || focus.closest('dialog') !== null;
}

function describeFocus() {
  const { document, getComputedStyle, innerHeight, innerWidth } = globalThis;
  const focus = document.activeElement;
  if (focus === null || focus === document.body) return undefined;
  focus.dataset.walked ??= String(document.querySelectorAll('[data-walked]').length + 1);
  const { top, left, bottom, right } = focus.getBoundingClientRect();
  const style = getComputedStyle(focus);
  // A field in a frame of its own may show the focus on the frame.
  const frame = getComputedStyle(focus.parentElement);
  return {
    key: `${focus.tagName} ${focus.dataset.walked} ${focus.getAttribute('aria-label') ?? focus.textContent.slice(0, 40)}`,
    isVisible:
      right > left && bottom > top && top < innerHeight && bottom > 0 && left < innerWidth && right > 0,
    hasRing: [style, frame].some(({ outlineStyle }) => outlineStyle !== 'none'),
  };
}
