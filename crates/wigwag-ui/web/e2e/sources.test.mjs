/**
 * Devices that introduce themselves to Home Assistant, and those of Sparkplug B, in a real browser: our own simulated
 * fleets, and payloads as others publish them. Told what to use as `dashboard.test.mjs` is.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import mqtt from 'mqtt';

import {
  canBePressed,
  isAccessible,
  isConnected,
  launchBrowser,
  openPage,
  PHONE,
  seesOnce,
  shootAll,
} from './browser.mjs';
import { freePorts, startBroker, startDashboard, startFleets } from './processes.mjs';

const FLEETS = [
  ['kind = "home-assistant"', 'count = 2', 'id = "room-{n}"', 'every = "500ms"', 'switch = true'],
  ['kind = "home-assistant"', 'discovery-prefix = "lab"', 'count = 1', 'id = "bench-{n}"', 'every = "500ms"', 'switch = true'], // prettier-ignore
  ['kind = "sparkplug"', 'count = 1', 'id = "edge-{n}"', 'every = "500ms"', 'group = "plant"', 'devices = 2'],
];

let browser;
let page;
let complaints;
let ports;
let client;
let fleets;
const programs = [];

before(async () => {
  const [mqttPort, wsPort, httpPort] = await freePorts(3);
  ports = { mqttPort, wsPort, httpPort };
  programs.push(await startBroker(ports));
  programs.push(await startDashboard(ports));
  fleets = await startFleets({ mqttPort, fleets: FLEETS });
  programs.unshift(fleets);
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { protocolVersion: 5 });
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
  await page.goto(url('/devices'));
  await isConnected(page);
});

after(async () => {
  await browser?.close();
  await client?.endAsync();
  for (const program of programs) await program.stop();
});

test('a device of Home Assistant has its readings and its switch', async () => {
  const card = cardOf('ha/room-1');
  await card.and(page.locator('[data-health="online"]')).waitFor();
  await card.getByTestId('value').getByText('°C').waitFor();
  await card.getByText('humidity').waitFor();
  await seesOnce(card.getByText(/^switch confirmed · \d+ ms$/), () =>
    card.getByRole('button', { name: 'Turn on switch of room-1' }).click(),
  );
  await card.getByRole('button', { name: 'Turn off switch of room-1' }).waitFor();
});

test('of an edge node that was born earlier a rebirth is asked for, and names its values', async () => {
  const card = cardOf('spb/plant/edge-1/device-1');
  await card.waitFor();
  await card.getByRole('button', { name: 'Rebirth edge-1 / device-1' }).click();
  await seesOnce(card.getByText(/^running confirmed · \d+ ms$/), () =>
    card.getByRole('button', { name: 'Turn off running of edge-1 / device-1' }).click(),
  );
  await card.getByRole('button', { name: 'Turn on running of edge-1 / device-1' }).click();
  await card.getByText('°C').waitFor();
});

test('all of them are in one list', async () => {
  await shootAll(page, 'sources', { phone: PHONE, wide: { width: 1280, height: 900 } });
  await isAccessible(page, 'the devices of several sources');
  await page.goto(url('/devices?view=table'));
  for (const id of ['ha/room-1', 'ha/room-2', 'spb/plant/edge-1', 'spb/plant/edge-1/device-2']) {
    await page.locator(`[data-row="${id}"]`).waitFor();
  }
  await shootAll(page, 'sources-table', { wide: { width: 1280, height: 900 } });
});

test('each has a page with charts, facts, controls and its own messages', async () => {
  await page.goto(url('/devices/spb%2Fplant%2Fedge-1%2Fdevice-2'));
  await page.getByRole('heading', { level: 1, name: 'edge-1 / device-2' }).waitFor();
  // The page was loaded anew, and has not heard a birth.
  await page.getByText(/birth certificate was not heard/).waitFor();
  await page.getByRole('button', { name: 'Rebirth edge-1 / device-2' }).click();
  await page.getByText(/birth certificate was not heard/).waitFor({ state: 'detached' });
  await page.locator('[data-chart="temperature"] canvas').waitFor();
  await page
    .getByTestId('log')
    .getByRole('option')
    .filter({ hasText: /seq \d+, running = true/ })
    .first()
    .waitFor();
  await isAccessible(page, 'the page of a device of Sparkplug B');
  await shootAll(page, 'source-sparkplug', { phone: PHONE, wide: { width: 1280, height: 900 } });
  await page.goto(url('/devices/ha%2Froom-2'));
  await page.getByText('simulated device', { exact: true }).first().waitFor();
  await page.locator('[data-chart="sensor.temperature"] canvas').waitFor();
  await isAccessible(page, 'the page of a device of Home Assistant');
});

test('a board with a light, a number and a choice is set by keyboard', async () => {
  const about = { dev: { ids: ['desk'], name: 'Desk', mf: 'Espressif', sa: 'Study' } };
  const announce = (component, config) =>
    client.publishAsync(`homeassistant/${component}/desk/config`, JSON.stringify({ ...about, ...config }), { retain: true }); // prettier-ignore
  await announce('light', { name: 'Lamp', schema: 'json', stat_t: 'desk/lamp', cmd_t: 'desk/lamp/set', brightness: true }); // prettier-ignore
  await announce('number', { name: 'Delay', stat_t: 'desk/delay', cmd_t: 'desk/delay/set', min: 0, max: 60, unit_of_meas: 's' }); // prettier-ignore
  await announce('select', { name: 'Effect', stat_t: 'desk/effect', cmd_t: 'desk/effect/set', ops: ['calm', 'wild'] }); // prettier-ignore
  // Does as it is told.
  client.on('message', (topic, payload) => {
    const state = topic.replace(/\/set$/, '');
    if (state !== topic) client.publish(state, payload, { retain: true });
  });
  await client.subscribeAsync('desk/+/set');
  await page.goto(url('/devices/ha%2Fdesk'));
  await pressEnterOn('Turn on Lamp of Desk');
  await fieldOf('light.desk').getByText('on', { exact: true }).waitFor();
  const delay = page.getByRole('textbox', { name: 'Delay (0 to 60 s)' });
  await delay.fill('99');
  await page.getByText('A whole number from 0 to 60 is allowed.').waitFor();
  await delay.fill('25');
  // In the field, too, Enter does nothing as long as the lamp has not answered.
  await canBePressed(page, page.getByRole('button', { name: 'Set Delay' }));
  await delay.press('Enter');
  await fieldOf('number.desk').getByText('25').waitFor();
  await page.getByLabel('Effect', { exact: true }).selectOption('wild');
  await pressEnterOn('Set Effect');
  await fieldOf('select.desk').getByText('wild').waitFor();
  await isAccessible(page, 'controls of every kind');
  await shootAll(page, 'source-controls', { phone: PHONE, wide: { width: 1280, height: 900 } });
});

test('what is below another prefix is found as soon as that is chosen, and after a reload', async () => {
  const goTo = (name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click();
  const prefix = page.getByLabel('Discovery prefix');
  await page.goto(url('/devices'));
  await cardOf('ha/room-1').waitFor();
  await goTo('Settings');
  await prefix.fill('lab/#');
  await prefix.press('Enter');
  await page.getByText('The prefix is part of a topic, not of a filter: it has neither + nor #.').waitFor();
  await isAccessible(page, 'a prefix that is refused');
  await prefix.fill('lab');
  await prefix.press('Enter');
  await page.getByText('in use: lab').waitFor();
  await shootAll(page, 'source-prefix', { phone: PHONE, wide: { width: 1280, height: 1400 } });
  await goTo('Devices');
  const card = cardOf('ha/bench-1');
  await card.and(page.locator('[data-health="online"]')).waitFor();
  await cardOf('spb/plant/edge-1').waitFor();
  assert.equal(await cardOf('ha/room-1').count(), 0);
  await seesOnce(card.getByText(/^switch confirmed · \d+ ms$/), () =>
    card.getByRole('button', { name: 'Turn on switch of bench-1' }).click(),
  );
  await page.reload();
  await card.and(page.locator('[data-health="online"]')).waitFor();
  await goTo('Settings');
  await page.getByRole('button', { name: 'Back to homeassistant' }).click();
  await goTo('Devices');
  await cardOf('ha/room-1').and(page.locator('[data-health="online"]')).waitFor();
  assert.equal(await card.count(), 0);
});

test('what a stranger announces is text, and takes nothing along', async () => {
  const html = '<img src=x onerror=alert(1)>';
  const config = {
    name: html,
    state_topic: '#',
    unit_of_measurement: html,
    dev: { ids: ['<b>'], name: html, mf: html },
  };
  await client.publishAsync('homeassistant/sensor/evil/config', JSON.stringify(config), { retain: true });
  await client.publishAsync('spBv1.0/<i>/NBIRTH/<b>', Buffer.from('7b00', 'hex'));
  await page.goto(url('/devices/ha%2F%3Cb%3E'));
  await page.getByRole('heading', { level: 1, name: html }).waitFor();
  await page.getByText('state_topic is not a topic that this page listens or publishes to: #').waitFor();
  assert.equal(await page.locator('img').count(), 0);
  await client.publishAsync('homeassistant/sensor/evil/config', '', { retain: true });
  await page.getByRole('heading', { level: 1, name: 'Device ha/<b>' }).waitFor();
});

test('who is gone is shown as offline', async () => {
  await page.goto(url('/devices'));
  await cardOf('spb/plant/edge-1/device-1').and(page.locator('[data-health="online"]')).waitFor();
  await fleets.kill();
  await cardOf('ha/room-1').and(page.locator('[data-health="offline"]')).waitFor();
  await cardOf('spb/plant/edge-1/device-1').and(page.locator('[data-health="offline"]')).waitFor();
  assert.deepEqual(complaints, []);
});

function url(path) {
  return `http://127.0.0.1:${ports.httpPort}${path}`;
}

function cardOf(id) {
  return page.locator(`article[data-device="${id}"]`);
}

async function pressEnterOn(name) {
  const button = page.getByRole('button', { name });
  await canBePressed(page, button);
  await button.press('Enter');
}

function fieldOf(key) {
  return page.locator(`[data-field="${key}"]`);
}
