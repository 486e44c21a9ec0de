/**
 * The devices page in a real browser, with real programs behind it. WIGWAG_BIN names the program; E2E_BROKER=mosquitto
 * puts Mosquitto in the place of our broker; browser.mjs says where screenshots go. Steps build on each other, as a
 * user's afternoon does.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get as httpGet } from 'node:http';
import { after, before, test } from 'node:test';

import mqtt from 'mqtt';

import * as browsers from './browser.mjs';
import { RECOVERY_MS, seesOnce } from './browser.mjs';
import { freePorts, startBroker, startDashboard, startDevice, startUp } from './processes.mjs';

const SIZES = { wide: browsers.WIDE, phone: browsers.PHONE };

let browser;
let page;
let broker;
let dashboard;
let ports;
const devices = new Map();
let complaints;

before(async () => {
  const [mqttPort, wsPort, httpPort] = await freePorts(3);
  ports = { mqttPort, wsPort, httpPort };
  broker = await startBroker(ports);
  dashboard = await startDashboard(ports);
  for (const id of ['1', '2', '3']) devices.set(id, await startDevice({ ...ports, id }));
  browser = await browsers.launchBrowser();
  ({ page, complaints } = await browsers.openPage(browser));
});

after(async () => {
  await browser?.close();
  const programs = [...devices.values(), dashboard, broker];
  await Promise.all(programs.map((program) => program?.stop()));
});

test('the page opens at its root and connects', async () => {
  await page.goto(url('/'));
  await isConnected();
  assert.equal(new URL(page.url()).pathname, '/devices');
  for (const id of devices.keys()) await card(id).waitFor();
  assert.deepEqual(await page.getByRole('heading', { level: 2, name: /^Device / }).allInnerTexts(), [
    'Device 1',
    'Device 2',
    'Device 3',
  ]);
  await hasHealth('1', 'online');
  await hasStatus('1', 'idle');
});

test('Start makes a device run and temperatures arrive', async () => {
  await seesOnce(card('1').getByText(/^Started · \d+ ms$/), () => command('1', 'Start'));
  await hasStatus('1', 'running');
  assert.match(await card('1').getByTestId('value').innerText(), /^\d+\.\d\s*°C$/);
  const states = logRow('device/1/state', '"running"');
  await states.nth(1).waitFor();
  await logRow('device/1/command', '{"action":"start"}').waitFor();
  await spoken('Device 1: start confirmed');
});

test('the page looks as it should on a desk and on a phone, by day and by night', async () => {
  await command('2', 'Start');
  await hasStatus('2', 'running');
  await logRow('device/2/state', '"running"').nth(3).waitFor();
  await shootAll('devices');
});

test('Stop makes it idle', async () => {
  await seesOnce(card('1').getByText(/^Stopped · \d+ ms$/), () => command('1', 'Stop'));
  await hasStatus('1', 'idle');
});

test('a killed device shows as offline and resumes by itself', async () => {
  await devices.get('2').kill();
  await hasHealth('2', 'offline');
  await shoot('device-offline');
  devices.set('2', await startDevice({ ...ports, id: '2' }));
  await hasHealth('2', 'online');
  await command('2', 'Start');
  await hasStatus('2', 'running');
});

test('a device that is running but silent shows as stale', async () => {
  const state = { deviceId: 'silent', status: 'running', temperature: 36.6, timestamp: now() };
  // For six seconds only it may just be slow.
  await Promise.all([
    hasHealth('silent', 'unknown'),
    publish('device/silent/state', JSON.stringify(state), { retain: true }),
  ]);
  await hasHealth('silent', 'stale');
  await publish('device/silent/state', '', { retain: true });
  await card('silent').waitFor({ state: 'detached' });
});

test('a command that nobody answers is rejected or times out', async () => {
  const state = { deviceId: 'deaf', status: 'idle', temperature: 20, timestamp: now() };
  await publish('device/deaf/state', JSON.stringify(state), { retain: true });
  await command('deaf', 'Start');
  // A broker that says "no matching subscribers" lets us know at once, another leaves it to the clock.
  await card('deaf')
    .getByText(/^Start (unheard: no device is listening|timed out)/)
    .waitFor();
  await publish('device/deaf/state', '', { retain: true });
  await card('deaf').waitFor({ state: 'detached' });
});

test('a rejected command shows the error of the device', async () => {
  const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports.mqttPort}`, { protocolVersion: 5 });
  await device.subscribeAsync('device/picky/command', { qos: 1 });
  device.on('message', (_topic, _payload, packet) => {
    const { responseTopic, correlationData } = packet.properties;
    const reply = { deviceId: 'picky', ok: false, error: 'not before <b>lunch</b>' };
    device.publish(responseTopic, JSON.stringify(reply), { qos: 1, properties: { correlationData } });
  });
  const state = { deviceId: 'picky', status: 'idle', temperature: 20, timestamp: now() };
  await device.publishAsync('device/picky/state', JSON.stringify(state), { retain: true });
  await command('picky', 'Start');
  await card('picky').getByText('Start rejected: not before <b>lunch</b>').waitFor();
  await device.publishAsync('device/picky/state', '', { retain: true });
  await device.endAsync();
});

test('hostile payloads are shown as text, counted, and break nothing', async () => {
  const html = '<img src=x onerror="document.title=\'owned\'">';
  const hostile = [
    '{"deviceId":"1","status":"running"',
    'null',
    '[1,2,3]',
    JSON.stringify({ deviceId: '1', status: html, temperature: 1, timestamp: 1 }),
    JSON.stringify({ deviceId: '1', status: 'running', temperature: '37', timestamp: 1 }),
    JSON.stringify({ deviceId: '2', status: 'running', temperature: 37, timestamp: 1 }),
    '{"deviceId":"1","status":"idle","temperature":1e999,"timestamp":1}',
    Buffer.from([0xff, 0xfe, 0x00, 0x80]),
    'x'.repeat(70_000),
  ];
  await publish('device/1/state', html);
  // At once: of a longer list, the log has only those in the document that can be seen.
  await logRow('device/1/state', html).waitFor();
  for (const payload of hostile) await publish('device/1/state', payload);
  await publish('device/1/online', 'perhaps');
  const expected = `${hostile.length + 2} invalid`;
  await card('1').getByText(expected).waitFor();
  assert.equal(await page.title(), 'Devices · Wigwag');
  assert.equal(await page.locator('img').count(), 0);
  await hasStatus('1', 'idle');

  await page.getByRole('button', { name: expected }).click();
  await logRow('device/1/online', 'perhaps').click();
  await page.getByText('Invalid: presence is "perhaps"; allowed: true, false').waitFor();
  await shootAll('message-log');
  await page.getByRole('button', { name: 'Close the message' }).click();
  await page.getByRole('button', { name: expected }).click();
});

test('the log pauses, goes on collecting, and is cleared', async () => {
  await page.getByRole('button', { name: 'Pause' }).click();
  const held = page.getByRole('button', { name: /^Paused, [1-9]\d* new$/ });
  await publish('device/1/state', 'while paused');
  await held.waitFor();
  assert.equal(await logRow('device/1/state', 'while paused').count(), 0);
  await held.click();
  await logRow('device/1/state', 'while paused').waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  await logRow('device/1/state', 'while paused').waitFor({ state: 'detached' });
});

test('after a reload the last state is there at once', async () => {
  await seesOnce(card('1').getByText(/^Stopped · \d+ ms$/), () => command('1', 'Stop'));
  await page.reload();
  await isConnected();
  // Device 1 is idle and publishes nothing: what shows can only be the retained state.
  await hasStatus('1', 'idle');
  await hasHealth('1', 'online');
});

test('a deep link opens its page', async () => {
  await page.goto(url('/no/such/page'));
  await page.getByRole('heading', { name: 'Page not found' }).waitFor();
  await isConnected();
  await page.getByRole('link', { name: 'Go to the devices' }).click();
  await card('1').waitFor();
});

test('behind a proxy that adds a prefix, pages and deep links work', async () => {
  const proxy = createServer((request, response) => {
    const target = url(request.url.replace(/^\/lab\/north/, ''));
    // A connection for each: one that is kept may be closed by the server just when it is used again.
    httpGet(target, { agent: false }, (answer) => {
      answer.pipe(response.writeHead(answer.statusCode, answer.headers));
    });
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const prefix = `http://127.0.0.1:${proxy.address().port}/lab/north`;
  try {
    for (const path of ['/', '/settings', '/devices', '/no/such/page']) {
      await page.goto(prefix + path);
      await isConnected();
    }
    await page.getByRole('link', { name: 'Go to the devices' }).click();
    await card('1').waitFor();
    assert.equal(page.url(), `${prefix}/devices`);
  } finally {
    await page.goto(url('/devices'));
    proxy.closeAllConnections();
    proxy.close();
  }
});

test('the theme is kept over a reload', async () => {
  const background = () =>
    page.evaluate(() => globalThis.getComputedStyle(globalThis.document.documentElement).backgroundColor);
  const light = await background();
  await page.getByRole('radio', { name: 'Dark theme' }).click();
  await page.reload();
  await card('1').waitFor();
  assert.notEqual(await background(), light);
  await page.getByRole('radio', { name: 'Theme of the system' }).click();
});

test('without its broker the page says so, locks the buttons, and recovers by itself', async () => {
  await command('2', 'Start');
  await hasStatus('2', 'running');
  await page.getByRole('button', { name: 'Clear' }).click();
  await broker.kill();
  const banner = page.getByTestId('banner');
  await banner.getByText(/The connection to ws:.* is lost/).waitFor();
  await page.getByText(/^Reconnecting in \d+ s$/).waitFor();
  await banner.getByText(/Next attempt in \d+ s/).waitFor();
  await spoken('Not connected to the broker');
  for (const name of ['Start', 'Stop']) assert.ok(await button('1', name).isDisabled());
  await card('2')
    .getByText(/^Stale since \d\d:\d\d:\d\d$/)
    .waitFor();
  await shootAll('broker-down');

  // The devices come back in their own time, and say so; one that is running soon has the log full of what it says.
  const isBack = async (id) => {
    await logRow(`device/${id}/online`, 'true').first().waitFor({ timeout: RECOVERY_MS });
    await hasHealth(id, 'online');
  };
  const areBack = Promise.all(['1', '2'].map(isBack));
  broker = await startBroker(ports);
  await page
    .getByTestId('connection')
    .and(page.locator('[data-phase=connected]'))
    .waitFor({ timeout: RECOVERY_MS });
  await banner.waitFor({ state: 'detached' });
  await areBack;
  await hasStatus('2', 'running');
  await command('1', 'Start');
  await hasStatus('1', 'running');
});

test('Retry now ends the wait', async () => {
  await broker.kill();
  // Let some attempts fail, so that the waits are long enough to start a broker and press the button in.
  await page.getByText(/^Reconnecting in (?:9|\d\d) s$/).waitFor({ timeout: RECOVERY_MS });
  broker = await startBroker(ports);
  await page.getByRole('button', { name: 'Retry now' }).click();
  await isConnected();
});

test('?broker= takes the tab to another broker', async () => {
  const [other] = await freePorts(1);
  await page.goto(url(`/devices?broker=ws://127.0.0.1:${other}`));
  await page.getByText(`Cannot connect to ws://127.0.0.1:${other}`).waitFor();
  await page.goto(url('/devices?broker=http://example.org'));
  await page.getByText(/must begin with ws:\/\/ or wss:\/\//).waitFor();
  await shoot('broker-address-wrong');
});

test('an empty broker gets a line to try', async () => {
  for (const device of devices.values()) await device.stop();
  devices.clear();
  await broker.stop();
  broker = await startBroker(ports);
  await page.goto(url('/devices'));
  await page.getByText('No device has published yet').waitFor();
  await page.getByText(/^mosquitto_pub -h 127\.0\.0\.1 -t device\/1\/state -r -m/).waitFor();
  await shootAll('empty');
});

test('the browser had nothing to complain about', () => {
  const unexpected = complaints.filter((text) => !/^WebSocket connection to .* failed/.test(text));
  assert.deepEqual(unexpected, []);
});

test(
  '`wigwag up` serves the same page with its devices',
  { skip: process.env.E2E_BROKER === 'mosquitto' },
  async () => {
    const [mqttPort, wsPort, httpPort] = await freePorts(3);
    const up = await startUp({ devices: 2, mqttPort, wsPort, httpPort });
    try {
      await page.goto(`http://127.0.0.1:${httpPort}/`);
      await isConnected();
      await command('2', 'Start');
      await hasStatus('2', 'running');
    } finally {
      await up.stop();
    }
  },
);

function url(path) {
  return `http://127.0.0.1:${ports.httpPort}${path}`;
}

function now() {
  return Math.floor(Date.now() / 1000);
}

function card(id) {
  return page.locator(`article[data-device="${id}"]`);
}

function button(id, name) {
  return page.getByRole('button', { name: `${name} device ${id}`, exact: true });
}

async function command(id, name) {
  await button(id, name).click();
}

function logRow(topic, text) {
  return page.getByTestId('log').getByRole('option').filter({ hasText: topic }).filter({ hasText: text });
}

async function isConnected() {
  await browsers.isConnected(page);
}

async function hasStatus(id, status) {
  await page.locator(`article[data-device="${id}"][data-status="${status}"]`).waitFor();
}

async function hasHealth(id, health) {
  await page.locator(`article[data-device="${id}"][data-health="${health}"]`).waitFor();
}

async function spoken(text) {
  await page.getByRole('status').getByText(text).waitFor({ state: 'attached' });
}

async function publish(topic, payload, options = {}) {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports.mqttPort}`, { protocolVersion: 5 });
  await client.publishAsync(topic, payload, { qos: 1, ...options });
  await client.endAsync();
}

async function shootAll(name) {
  await browsers.shootAll(page, name, SIZES);
}

async function shoot(name) {
  await browsers.shoot(page, name);
}
