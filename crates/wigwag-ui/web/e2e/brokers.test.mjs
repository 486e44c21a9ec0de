/**
 * Several brokers in one window, in a real browser: Mosquitto and ours, each by plain TCP alone, through the server of the
 * page. Told what to use as `dashboard.test.mjs` is; Mosquitto is one of the two whatever E2E_BROKER says.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';

import { isAccessible, isConnected, launchBrowser, openPage, RECOVERY_MS, shootAll } from './browser.mjs';
import { freePorts, startDashboardOf, startDevice, startPlainBroker } from './processes.mjs';

let browser;
let page;
let complaints;
let httpPort;
/** By the name that the page knows them by. */
const mqttPorts = {};
const programs = [];
let mosquitto;
let oldBroker;

before(async () => {
  let ports;
  [httpPort, ...ports] = await freePorts(3);
  [mqttPorts.mosquitto, mqttPorts.ours] = ports;
  mosquitto = await startPlainBroker('mosquitto', mqttPorts.mosquitto);
  programs.push(await startPlainBroker('wigwag', mqttPorts.ours));
  mqttPorts.old = await startOldBroker();
  programs.push(await startDashboardOf(mqttPorts, httpPort));
  programs.unshift(await startDevice({ mqttPort: mqttPorts.mosquitto, id: 'press' }));
  programs.unshift(await startDevice({ mqttPort: mqttPorts.ours, id: 'oven' }));
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
});

after(async () => {
  await browser?.close();
  for (const program of [...programs, mosquitto]) await program?.stop();
  oldBroker?.close();
});

test('a broker without WebSocket is shown, and takes commands', async () => {
  await page.goto(url('/devices'));
  await isConnected(page);
  const card = page.locator('article[data-device="press"]');
  await card.waitFor();
  await card.getByRole('button', { name: 'Start' }).click();
  await card.getByText('Running', { exact: true }).waitFor();
  await page.getByTestId('connection').getByText('mosquitto', { exact: true }).waitFor();
});

test('the list shows how each is, and leads to the other, with the keyboard alone', async () => {
  await page.getByTestId('connection').focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Brokers' });
  await dialog.getByRole('listitem').filter({ hasText: 'ours' }).getByText('Connected').waitFor();
  await dialog.getByRole('listitem').filter({ hasText: 'mosquitto' }).getByText('Connected').waitFor();
  await dialog.getByText(`mqtt://127.0.0.1:${mqttPorts.ours}`, { exact: true }).waitFor();
  await isAccessible(page, 'brokers');
  await shootAll(page, 'brokers');
  await page.locator(':focus').and(dialog.getByRole('button').first()).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator('article[data-device="oven"]').waitFor();
  assert.equal(page.url(), url('/devices?broker=ours'));
  await page.waitForFunction(() => globalThis.document.title === 'Devices · ours · Wigwag');
  assert.equal(await page.locator('article[data-device="press"]').count(), 0);
  await page.locator(':focus').and(page.getByRole('main')).waitFor();
});

test('each keeps what it has seen while the other is shown, and Back leads back', async () => {
  await page.goBack();
  await page.locator('article[data-device="press"]').getByText('Running', { exact: true }).waitFor();
  await page.goForward();
  await page.locator('article[data-device="oven"]').waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  await page.keyboard.type('mosquitto');
  await page.getByRole('option', { selected: true }).filter({ hasText: 'Show this broker' }).waitFor();
  await page.keyboard.press('Enter');
  await page.locator('article[data-device="press"]').waitFor();
  assert.equal(page.url(), url('/devices'));
});

test('the Explorer has a tree for each', async () => {
  await page.goto(url('/explore?filter=device%2F%23'));
  const tree = page.getByRole('tree');
  await tree.getByRole('treeitem', { name: /^device/ }).waitFor();
  await page.getByTestId('connection').click();
  await page.getByRole('dialog').getByRole('button', { name: /^ours/ }).click();
  await page.getByTestId('connection').getByText('ours', { exact: true }).waitFor();
  await tree.waitFor({ state: 'detached' });
  await page.goBack();
  await tree.getByRole('treeitem', { name: /^device/ }).waitFor();
});

test('a broker that goes is told, with the reason that the server knows, and comes back', async () => {
  await page.goto(url('/devices?broker=ours'));
  await isConnected(page);
  await mosquitto.kill();
  await page.getByTestId('connection').click();
  const gone = page.getByRole('dialog').getByRole('listitem').filter({ hasText: 'mosquitto' });
  await gone.getByText(/refused/).waitFor({ timeout: RECOVERY_MS });
  await page
    .getByRole('dialog')
    .getByRole('listitem')
    .filter({ hasText: 'ours' })
    .getByText('Connected')
    .waitFor();
  await shootAll(page, 'brokers-one-gone');
  await gone.getByRole('button').click();
  await page
    .getByTestId('banner')
    .getByText(/refused/)
    .waitFor({ timeout: RECOVERY_MS });
  mosquitto = await startPlainBroker('mosquitto', mqttPorts.mosquitto);
  await page
    .getByTestId('connection')
    .and(page.locator('[data-phase=connected]'))
    .waitFor({ timeout: RECOVERY_MS });
});

test('a broker that knows MQTT 3.1.1 alone is spoken to in it', async () => {
  await page.goto(url('/devices?broker=old'));
  await isConnected(page);
  await page.getByTestId('connection').click();
  const old = page.getByRole('dialog').getByRole('listitem').filter({ hasText: 'old' });
  await old.getByText('It knows MQTT 3.1.1 and not 5.').waitFor();
});

test('a broker that is added is kept, and its address may hold no password', async () => {
  await page.goto(url('/settings'));
  await isConnected(page);
  await page.getByLabel('Address').fill('ws://me:secret@127.0.0.1:9/mqtt');
  await page.keyboard.press('Enter');
  await page.getByText(/^Leave user name and password out/).waitFor();
  await page.getByLabel('Address').fill(`ws://127.0.0.1:${httpPort}/mqtt/2`);
  await page.getByLabel('Name').fill('<i>again</i>');
  await page.keyboard.press('Enter');
  await page.getByText('Kept in this browser', { exact: true }).waitFor();
  await isAccessible(page, 'settings with brokers');
  await shootAll(page, 'settings-brokers');
  await page.reload();
  await page.getByRole('button', { name: 'Show <i>again</i>' }).click();
  await isConnected(page);
  await page.goto(url('/devices?broker=%3Ci%3Eagain%3C%2Fi%3E'));
  await page.locator('article[data-device="oven"]').waitFor();
});

test('the browser had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});

/** Says to MQTT 5 that it does not know it, and to MQTT 3.1.1 that everything is well; to every packet of its own. */
async function startOldBroker() {
  oldBroker = createServer((socket) => {
    let bytes = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      // All packets of a page that only subscribes are short.
      while (bytes.length >= 2 && bytes.length >= 2 + bytes[1]) {
        answer(socket, bytes.subarray(0, 2 + bytes[1]));
        bytes = bytes.subarray(2 + bytes[1]);
      }
    });
  });
  oldBroker.listen(0, '127.0.0.1');
  await once(oldBroker, 'listening');
  return oldBroker.address().port;
}

function answer(socket, packet) {
  switch (packet[0] >> 4) {
    case 1: // CONNECT, with the level of the protocol behind its name
      if (packet[8] === 4) socket.write(Buffer.from([0x20, 2, 0, 0]));
      else socket.end(Buffer.from([0x20, 2, 0, 1]));
      break;
    case 8: // SUBSCRIBE, of one filter each
      socket.write(Buffer.from([0x90, 3, packet[2], packet[3], 0]));
      break;
    case 12: // PINGREQ
      socket.write(Buffer.from([0xd0, 0]));
      break;
  }
}

function url(path) {
  return `http://127.0.0.1:${httpPort}${path}`;
}
