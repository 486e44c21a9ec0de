/**
 * Devices as others publish them, with libraries that do not know of this page: three for Python that speak to Home
 * Assistant, and Eclipse Tahu's client of Sparkplug B for JavaScript. Told what to use as `dashboard.test.mjs` is; E2E_PYTHON names the
 * Python that has the former ones.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { isAccessible, isConnected, launchBrowser, openPage, PHONE, seesOnce, shootAll } from './browser.mjs';
import { freePorts, Program, startBroker, startDashboard } from './processes.mjs';

const WORKSHOP = 'ha/workshop-1';
const PUMP = 'spb/station/gateway/pump';

let browser;
let page;
let complaints;
let ports;
let publishers;
const programs = [];

before(async () => {
  const [mqttPort, wsPort, httpPort] = await freePorts(3);
  ports = { mqttPort, wsPort, httpPort };
  programs.push(await startBroker(ports));
  programs.push(await startDashboard(ports));
  publishers = await Promise.all(['home_assistant.py', 'house.py'].map(startPython));
  programs.unshift(...publishers);
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
  await page.goto(url('/devices'));
  await isConnected(page);
});

after(async () => {
  await browser?.close();
  for (const program of programs) await program.stop();
});

test('a workshop for Home Assistant is one device with all that it tells', async () => {
  await page.goto(url(`/devices/${encodeURIComponent(WORKSHOP)}`));
  await page.getByRole('heading', { level: 1, name: 'Workshop' }).waitFor();
  const values = {
    'sensor.Temperature': '21.5°C',
    'sensor.Energy': '12.35kWh',
    'binary_sensor.Motion': 'motion',
    'switch.Fan': 'off',
    'light.Lamp': 'off',
    'number.Delay': '2.5s',
    'select.Mood': 'calm',
    'text.Note': 'hello',
    'cover.Door': 'closed',
    'lock.Latch': 'locked',
    'valve.Water': '30%',
  };
  for (const [key, value] of Object.entries(values)) await shows(key, value);
  await page.getByText('Somebody').first().waitFor();
  await page
    .getByText('Eye: pictures are not shown here; the Explorer shows those of workshop/picture')
    .waitFor();
  await page.getByText('Lamp: colours are neither shown nor set here').waitFor();
  await isAccessible(page, 'a workshop for Home Assistant');
  await shootAll(page, 'publishers-home-assistant', { phone: PHONE, wide: { width: 1280, height: 900 } });
});

test('it does what the page tells it', async () => {
  const press = (name) => page.getByRole('button', { name, exact: true }).click();
  await press('Turn on Fan of Workshop');
  await shows('switch.Fan', 'on');
  await press('Turn on Lamp of Workshop');
  await shows('light.Lamp', 'on');
  await press('Open Door Workshop');
  await shows('cover.Door', 'open');
  await press('Unlock Latch Workshop');
  await shows('lock.Latch', 'unlocked');
  await press('Test Workshop');
  await shows('sensor.Temperature', '99.5°C');
  await set('light.Lamp.brightness', '120');
  await shows('light.Lamp.brightness', '120');
  await choose('light.Lamp.effect', 'rainbow');
  await shows('light.Lamp.effect', 'rainbow');
  await set('number.Delay', '7.5');
  await shows('number.Delay', '7.5s');
  await choose('select.Mood', 'wild');
  await shows('select.Mood', 'wild');
  await set('text.Note', 'good bye');
  await shows('text.Note', 'good bye');
  await set('valve.Water', '80');
  await shows('valve.Water', '80%');
});

test('a house and its cellar are two more, each with a Will', async () => {
  await page.goto(url('/devices'));
  const house = page.locator('article').filter({ hasText: 'Ventilation' });
  await house.and(page.locator('[data-health="online"]')).waitFor();
  await house.getByRole('link', { name: 'house' }).click();
  await page.getByRole('heading', { level: 1, name: 'house' }).waitFor();
  // It retains nothing but its configuration.
  await set('fan.fan.speed', '75');
  await shows('fan.fan.speed', '75');
  await shows('fan.fan', 'on');
  await set('number.delay', '9');
  await shows('number.delay', '9');
  await seesOnce(page.getByText('Hall: the broker took it'), () =>
    page.getByRole('button', { name: 'Turn on Hall of house' }).click(),
  );
  await page.goto(url('/devices/ha%2Fcellar-1'));
  await page.getByRole('heading', { level: 1, name: 'Cellar' }).waitFor();
  await shows('sensor.cellar-wine', '12.5°C');
  await page.getByRole('button', { name: 'Turn on Siren of Cellar' }).click();
  await shows('siren.cellar-siren', 'on');
  await page.getByRole('button', { name: 'Turn on Light of Cellar' }).click();
  await shows('switch.cellar-light', 'on');
});

test('a pump of Sparkplug B is named by its birth and set by its aliases', async () => {
  await page.goto(url('/devices'));
  await isConnected(page);
  // After the page: brokers do not keep births.
  publishers.push(await startNode('sparkplug.mjs'));
  programs.unshift(publishers.at(-1));
  await cardOf(PUMP).getByText('rpm').waitFor();
  await cardOf('spb/station/gateway').getByText('Tahu').waitFor();
  // Compressed.
  await cardOf('spb/station/gateway/tank').getByTestId('value').getByText('0.75').waitFor();
  await page.getByRole('link', { name: 'gateway / pump' }).click();
  await page.getByRole('heading', { level: 1, name: 'gateway / pump' }).waitFor();
  await shows('speed', '1450.5rpm');
  await shows('limit', '−5bar');
  await page.getByRole('button', { name: 'Turn off running of gateway / pump' }).click();
  await shows('running', 'false');
  await set('limit', '-12');
  await shows('limit', '−12bar');
  await set('name', 'P-102');
  await shows('name', 'P-102');
  await page.getByRole('button', { name: 'Rebirth gateway / pump' }).click();
  const births = page.getByTestId('log').getByRole('option').filter({ hasText: 'DBIRTH' });
  await births.nth(1).waitFor();
  await isAccessible(page, 'a pump of Sparkplug B');
  await shootAll(page, 'publishers-sparkplug', { phone: PHONE, wide: { width: 1280, height: 900 } });
});

test('who is gone is shown as offline', async () => {
  for (const publisher of publishers) await publisher.kill();
  await page.goto(url('/devices'));
  for (const id of [WORKSHOP, 'ha/cellar-1', 'ha/house_1']) {
    await cardOf(id).and(page.locator('[data-health="offline"]')).waitFor();
  }
  assert.deepEqual(complaints, []);
});

function startPython(name) {
  const python = process.env.E2E_PYTHON;
  if (!python) throw new Error('E2E_PYTHON must name a Python that has ha-mqtt-discoverable');
  return Program.start(python, [publisher(name), String(ports.mqttPort)], { readyLine: /^ready/m });
}

function startNode(name) {
  return Program.start(process.execPath, [publisher(name), String(ports.mqttPort)], { readyLine: /^ready/m });
}

function publisher(name) {
  return fileURLToPath(new URL(`publishers/${name}`, import.meta.url));
}

function url(path) {
  return `http://127.0.0.1:${ports.httpPort}${path}`;
}

function cardOf(id) {
  return page.locator(`article[data-device="${id}"]`);
}

/** The value stands behind the name. */
async function shows(key, text) {
  const ending = new RegExp(`${text.replaceAll('.', '\\.')}$`);
  await page.locator(`[data-field="${key}"]`).filter({ hasText: ending }).waitFor();
}

async function set(key, value) {
  const form = page.locator(`form[data-control="${key}"]`);
  await form.getByRole('textbox').fill(value);
  await sent(form);
}

async function choose(key, value) {
  const form = page.locator(`form[data-control="${key}"]`);
  await form.getByRole('combobox').selectOption(value);
  await sent(form);
}

/** One command at a time: the click waits until the one before is answered. */
async function sent(form) {
  await form.getByRole('button').click();
}
