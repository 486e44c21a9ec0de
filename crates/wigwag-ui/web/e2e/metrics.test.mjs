/**
 * The Metrics page in a real browser: `/metrics` of our broker from `wigwag up`, and the $SYS tree of the broker that
 * E2E_BROKER names from `wigwag dashboard`.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { isConnected, launchBrowser, openPage, RECOVERY_MS, WIDE } from './browser.mjs';
import { freePorts, startBroker, startDashboard, startDevice, startUp } from './processes.mjs';

/** Longer than a broker takes to publish its tree twice. */
const TREE_MS = 90_000;

const withMosquitto = process.env.E2E_BROKER === 'mosquitto';

let browser;
let page;
let complaints;
let programs = [];

before(async () => {
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await Promise.all(programs.map((program) => program.stop()));
});

test('the $SYS tree of any broker is charts and a list', async () => {
  const [mqttPort, wsPort, httpPort] = await freePorts(3);
  programs.push(await startBroker({ mqttPort, wsPort }));
  programs.push(await startDashboard({ wsPort, httpPort }));
  programs.push(await startDevice({ mqttPort, id: '1' }));
  await open(`http://127.0.0.1:${httpPort}/monitor`);
  await panel('Clients')
    .getByRole('img', { name: /connected [1-9]/ })
    .waitFor({ timeout: TREE_MS });
  await panel('Messages')
    .getByRole('img', { name: /received (?!–)/ })
    .waitFor({ timeout: TREE_MS });
  await search('clients connected');
  await page.getByRole('button', { name: /^\$SYS\/broker\/clients\/connected/ }).click();
  await page.getByText('broker_clients_connected', { exact: true }).waitFor();
  assert.deepEqual(complaints, []);
});

test(
  '/metrics of our broker is charts and a list, and again after a restart',
  { skip: isElsewhere() },
  async () => {
    const [mqttPort, wsPort, httpPort] = await freePorts(3);
    let up = await startUp({ devices: 2, mqttPort, wsPort, httpPort });
    programs.push(up);
    await open(`http://127.0.0.1:${httpPort}/monitor`);
    await panel('Messages')
      .getByRole('img', { name: /received [\d.]+\/s/ })
      .waitFor();
    await panel('Memory')
      .getByRole('img', { name: /process [\d.]+ MiB/ })
      .waitFor();
    await isDrawn('Memory');
    await search('route duration');
    await page.getByRole('button', { name: /^wigwag_route_duration_seconds/ }).click();
    await page.getByText(/^histogram_quantile\(0\.99, /).waitFor();
    assert.deepEqual(complaints, []);

    await up.kill();
    await page.getByText('There are no metrics: the server does not answer').waitFor();
    up = await startUp({ devices: 2, mqttPort, wsPort, httpPort });
    programs.push(up);
    await page.getByText('There are no metrics').waitFor({ state: 'detached', timeout: RECOVERY_MS });
  },
);

/** With Mosquitto, or without our program, there is no /metrics. */
function isElsewhere() {
  return withMosquitto && 'there is no /metrics with this broker';
}

async function open(address) {
  await page?.close();
  ({ page, complaints } = await openPage(browser, { viewport: WIDE }));
  await page.goto(address);
  await isConnected(page);
  await page.getByRole('heading', { level: 1, name: 'Metrics' }).waitFor();
}

function panel(name) {
  return page.getByRole('region', { name, exact: true });
}

async function search(text) {
  await page.keyboard.press('/');
  await page.getByRole('searchbox', { name: 'Search metrics' }).fill(text);
}

/** There is a line: some pixels of the chart have a colour of their own, while axes and grid are grey. */
async function isDrawn(name) {
  const canvas = await panel(name).locator('canvas').elementHandle();
  await page.waitForFunction((drawing) => {
    const { data } = drawing.getContext('2d').getImageData(0, 0, drawing.width, drawing.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const [red, , blue, alpha] = data.slice(at, at + 4);
      if (alpha > 128 && Math.abs(red - blue) > 60) count += 1;
    }
    return count > 20;
  }, canvas);
}
