/**
 * The Explorer without a mouse, from its address to a message that is published; a recording that `wigwag replay` plays;
 * names that mean harm; and the panel to publish on a phone. Told what to use as `dashboard.test.mjs` is.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import mqtt from 'mqtt';

import { isAccessible, isConnected, launchBrowser, openPage, PHONE, shootAll } from './browser.mjs';
import { freePorts, Program, startBroker, startDashboard } from './processes.mjs';

const withMosquitto = process.env.E2E_BROKER === 'mosquitto';
const HOSTILE = {
  turned: 'odd/safe\u202egpj.exe',
  // Mosquitto ends the connection of who publishes to such a topic, as the standard allows.
  ...(withMosquitto ? {} : { controls: 'odd/bell\u0007 and \u001b[31mred' }),
  long: `odd/${'long'.repeat(5_000)}`,
  markup: 'odd/<img src=x onerror=alert(1)>',
};
/** Of plant, by the time that it is recorded: temperature, state, trap, ok, here. */
const RETAINED_BELOW = 5;
/** Seen by bytes, by properties and by size: everything a recording has to bring back. */
const RECORDED = [
  { topic: 'plant/a', payload: 'grün "1"\n', options: { qos: 1, retain: true } },
  { topic: 'plant/b', payload: Buffer.from([0, 255]), options: { qos: 2 } },
  {
    topic: 'plant/c',
    payload: JSON.stringify({ long: 'x'.repeat(100_000) }),
    options: {
      qos: 1,
      properties: {
        contentType: 'application/json',
        messageExpiryInterval: 600,
        responseTopic: 're',
        correlationData: Buffer.from([254]),
        payloadFormatIndicator: true,
        userProperties: { k: ['v', 'w'] },
      },
    },
  },
];

let browser;
let page;
let complaints;
let ports;
let client;
let folder;
const programs = [];

before(async () => {
  const [mqttPort, wsPort, httpPort] = await freePorts(3);
  ports = { mqttPort, wsPort, httpPort };
  programs.push(await startBroker(ports));
  programs.unshift(await startDashboard(ports));
  folder = mkdtempSync(join(tmpdir(), 'wigwag-e2e-'));
  client = await connect();
  await client.publishAsync('plant/line1/temperature', '21.5', { qos: 1, retain: true });
  await client.publishAsync('plant/line1/state', 'on', { qos: 1, retain: true });
  browser = await launchBrowser();
  ({ page, complaints } = await openPage(browser));
  await page.addInitScript(`globalThis.nameOf = ${nameOf}`);
});

after(async () => {
  await browser?.close();
  await client?.endAsync(true);
  for (const program of programs) await program.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('from its address to an open topic, with the keyboard alone', async () => {
  await page.goto(url('/explore'));
  await isConnected(page);
  await tabTo('Topic Filter');
  await page.keyboard.type('plant/#');
  await page.keyboard.press('Enter');
  await row('plant').waitFor();
  await tabTo('Topics');
  for (const key of ['Home', 'ArrowRight', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key);
  await row('temperature').waitFor();
  // Should the letters come so slowly that each begins anew, those behind the first lead nowhere else.
  await page.keyboard.type('tem');
  await page.keyboard.press('Enter');
  await page.getByTestId('topic').getByText('plant/line1/temperature', { exact: true }).waitFor();
});

test('search, order and pause need no mouse either', async () => {
  await page.keyboard.press('/');
  await focused('Search topics');
  await page.keyboard.type('stat[ef]$');
  await tabTo('How to search');
  await page.keyboard.press('End');
  await row('state').waitFor();
  await page.waitForFunction(() => globalThis.document.querySelectorAll('[role=treeitem]').length === 3);
  await tabTo('Order of the tree');
  await page.keyboard.type('N');
  await page.waitForURL(/sort=newest/);
  assert.match(page.url(), /by=regex/);
  // In a list of choices, letters choose.
  await tabTo('Search topics');
  await page.keyboard.press('Escape');
  await row('temperature').waitFor();
  await tabTo('Topics');
  await page.keyboard.press(' ');
  await page.getByTestId('pause').waitFor();
  await page.keyboard.press(' ');
  await page.getByTestId('pause').waitFor({ state: 'detached' });
});

test('an expression that other engines never end with leaves the tree alive', async () => {
  await client.publishAsync('plant/trap', `${'a'.repeat(4_000)}!`, { qos: 1, retain: true });
  await page.keyboard.press('/');
  await focused('Search topics');
  await page.keyboard.type('^(a+)+$');
  await page.getByTestId('tree-figures').getByText('0 found').waitFor();
  await client.publishAsync('plant/ok', 'aaa', { qos: 1, retain: true });
  await page.getByTestId('tree-figures').getByText('1 found').waitFor();
  await page.keyboard.press('Control+a');
  await page.keyboard.type('(?=a)');
  await page.getByText('looking ahead or behind').waitFor();
  await isAccessible(page, 'a search with a mistake');
  await page.keyboard.press('Escape');
});

test('the views of a topic, and a message that is written and sent', async () => {
  await tabTo('Value');
  for (const name of ['Changes', 'History', 'Publish']) {
    await page.keyboard.press('ArrowRight');
    await page.getByRole('tab', { name, selected: true }).waitFor();
  }
  await page.keyboard.press('Home');
  await page.keyboard.press('.');
  await focused('Topic');
  await page.keyboard.press('Control+a');
  await page.keyboard.type('plant/lamp');
  await tabTo('Payload');
  await page.keyboard.type('on');
  await client.subscribeAsync('plant/lamp', { qos: 1 });
  const arrived = once(client, 'message', { signal: AbortSignal.timeout(60_000) });
  await page.keyboard.press('Control+Enter');
  assert.equal(String((await arrived)[1]), 'on');
  await page.getByText('the broker took it.').waitFor();
});

test('what is recorded comes back by wigwag replay, as it was', async () => {
  await tabTo('Topics');
  await page.keyboard.press('Home');
  await tabTo('Record this branch');
  await page.keyboard.press('Enter');
  await page.getByTestId('recording').getByText('plant/#', { exact: true }).waitFor();
  const beside = await startRecorder();
  await hasRecorded(RETAINED_BELOW);
  for (const { topic, payload, options } of RECORDED) await client.publishAsync(topic, payload, options);
  await hasRecorded(RETAINED_BELOW + RECORDED.length);
  await isAccessible(page, 'a recording');
  await tabTo('Stop recording');
  await page.keyboard.press('Enter');
  await tabTo('Save');
  const download = page.waitForEvent('download');
  await page.keyboard.press('Enter');
  const file = join(folder, 'recording.jsonl');
  await (await download).saveAs(file);
  const names = RECORDED.map(({ topic }) => topic);
  const lines = linesOf(file).filter(({ topic }) => names.includes(topic));
  // Another recorder says the same, but for the time, and for what of QoS 2 waits for its PUBREL.
  const others = await beside.lines();
  assert.deepEqual(lines.map(comparable).sort(), others.map(comparable).sort());
  assert.deepEqual(
    (await replayed(file)).sort(),
    RECORDED.map(({ topic, payload }) => digest(topic, payload)).sort(),
  );
  await tabTo('Discard');
  await page.keyboard.press('Enter');
  await page.getByTestId('recording').waitFor({ state: 'detached' });
});

test('names that mean harm are seen for what they are', async () => {
  for (const topic of Object.values(HOSTILE)) await client.publishAsync(topic, 'x', { qos: 1, retain: true });
  await page.goto(url('/explore?filter=%23'));
  await isConnected(page);
  await row('odd').click();
  await row('safe⟨202E⟩gpj.exe').click();
  await page.getByTestId('topic').getByText('odd/safe⟨202E⟩gpj.exe', { exact: true }).waitFor();
  if (!withMosquitto) await seesControls();
  await row('longlong').click();
  await page
    .getByTestId('topic')
    .getByText(/^odd\/(long){99}…$/)
    .waitFor();
  await isAccessible(page, 'hostile names');
  await shootAll(page, 'explorer-hostile');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: /^Find/ }).waitFor();
  await page.keyboard.type('odd/safe\u202egpj.exe');
  await page.getByRole('option', { name: /odd\/safe⟨202E⟩gpj\.exe/ }).waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('main img').count(), 0);
});

test('on a phone the panel to publish is a touch away, and the tree again', async () => {
  await page.setViewportSize(PHONE);
  await page.goto(url('/explore?filter=%23'));
  await isConnected(page);
  await row('plant').waitFor();
  await page.getByRole('button', { name: 'Publish', exact: true }).click();
  await focused('Topic');
  assert.equal(await page.getByRole('tree').isVisible(), false);
  await isAccessible(page, 'publish on a phone');
  await page.getByRole('link', { name: 'Back to the tree' }).click();
  await row('plant').waitFor();
});

test('the browser had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});

async function seesControls() {
  await row('bell⟨0007⟩ and ⟨001B⟩[31mred').click();
  await page.getByRole('group', { name: 'Branch' }).getByText('odd/bell⟨0007⟩ and ⟨001B⟩[31mred').waitFor();
  await page.getByRole('button', { name: 'Command' }).click();
  await page
    .getByText(String.raw`$'odd/bell\x07 and \x1b[31mred/#'`)
    .first()
    .waitFor();
  await page.getByRole('button', { name: 'Command' }).click();
}

/** A recorder of another make, of the messages that are yet to come: `wigwag sub --record`, which says when it listens. */
async function startRecorder() {
  const file = join(folder, 'beside.jsonl');
  const address = ['-h', '127.0.0.1', '-p', String(ports.mqttPort), '-V', 'mqttv5', '-q', '2'];
  const filters = ['plant/here', ...RECORDED.map(({ topic }) => topic)].flatMap((topic) => ['-t', topic]);
  const options = ['--retain-as-published', '-C', String(1 + RECORDED.length), '-v', '--record', file];
  // Retained, so it comes whichever is first: the message or the subscription.
  await client.publishAsync('plant/here', 'x', { qos: 1, retain: true });
  const recorder = await Program.start(process.env.WIGWAG_BIN, ['sub', ...address, ...filters, ...options], {
    readyLine: /plant\/here/,
  });
  const ended = new Promise((resolve) => recorder.whenEnded(resolve));
  return {
    lines: async () => {
      await ended;
      return linesOf(file).filter(({ topic }) => topic !== 'plant/here');
    },
  };
}

/** What a subscriber gets when the file is played. */
async function replayed(file) {
  const hearing = await connect();
  const heard = [];
  const done = new Promise((resolve) => {
    hearing.on('message', (topic, payload) => {
      heard.push(digest(topic, payload));
      if (heard.length === RECORDED.length) resolve();
    });
  });
  await hearing.subscribeAsync(['plant/a', 'plant/b', 'plant/c'], { qos: 2, rh: 2 });
  const address = ['-h', '127.0.0.1', '-p', String(ports.mqttPort)];
  const only = RECORDED.flatMap(({ topic }) => ['--only', topic]);
  await promisify(execFile)(process.env.WIGWAG_BIN, ['replay', file, ...address, '--speed', 'max', ...only], {
    timeout: 60_000,
  });
  await done;
  await hearing.endAsync(true);
  return heard;
}

function linesOf(file) {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Without the time, and with a long payload as a digest, so that a failure can be read. */
function comparable({ time, payload, ...line }) {
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  return JSON.stringify({ ...line, payload: payload && digest('', payload) });
}

function digest(topic, payload) {
  return `${topic} ${createHash('sha256').update(payload).digest('hex')}`;
}

function hasRecorded(wanted) {
  return page.waitForFunction((count) => {
    const bar = globalThis.document.querySelector('[data-testid=recording]');
    return Number(/(\d+) messages/.exec(bar.innerText)[1]) >= count;
  }, wanted);
}

function connect() {
  return mqtt.connectAsync(`mqtt://127.0.0.1:${ports.mqttPort}`, { protocolVersion: 5 });
}

/** Goes on with the tab key to what is called so, as soon as it is there. */
async function tabTo(name) {
  await page.waitForFunction(
    (wanted) =>
      [...globalThis.document.querySelectorAll('*')].some((one) => globalThis.nameOf(one) === wanted),
    name,
  );
  for (let count = 0; count < 80; count++) {
    if ((await focusedName()) === name) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`the tab key does not lead to ${name}`);
}

function focused(name) {
  return page.waitForFunction(
    (wanted) => globalThis.nameOf(globalThis.document.activeElement) === wanted,
    name,
  );
}

function focusedName() {
  return page.evaluate(() => globalThis.nameOf(globalThis.document.activeElement));
}

/** Runs in the page. As assistive technology would say it: by its label, or by what is written on it. */
function nameOf(element) {
  const label = element?.getAttribute('aria-label') ?? element?.labels?.[0]?.innerText;
  return (label ?? element?.innerText ?? '').trim();
}

function row(name) {
  const start = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return page.getByRole('treeitem', { name: new RegExp(`^${start}`) }).first();
}

function url(path) {
  return `http://127.0.0.1:${ports.httpPort}${path}`;
}
