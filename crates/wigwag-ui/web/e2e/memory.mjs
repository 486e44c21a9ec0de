#!/usr/bin/env node
/**
 * How much memory the page takes while it is open for long: ten thousand devices at their rate, a flood in the Explorer,
 * and somebody who goes from screen to screen. Prints the heaps of the page and its workers after a collection of
 * garbage, and what the process takes, again and again; then how the last two quarters of the time compare.
 *
 *     WIGWAG_BIN=…/wigwag node e2e/memory.mjs [MINUTES] [DEVICES]
 */
import mqtt from 'mqtt';

import { readFile } from 'node:fs/promises';

import { isConnected, launchBrowser, openPage } from './browser.mjs';
import { startFlood } from './flood.mjs';
import { freePorts, startBroker, startDashboard, startSimulation } from './processes.mjs';

const [minutes, devices] = [Number(process.argv[2] ?? 10), Number(process.argv[3] ?? 10_000)];
const LOOK_EVERY_MS = 30_000;
const SCREENS = ['/explore?filter=%23', '/devices', '/explore?filter=%23', '/devices/1?range=1h', '/monitor'];
const MIB = 1024 * 1024;

const [mqttPort, wsPort, httpPort] = await freePorts(3);
const programs = [await startBroker({ mqttPort, wsPort }), await startDashboard({ wsPort, httpPort })];
let browser;
let flood;
try {
  programs.unshift(await startSimulation({ mqttPort, count: devices, everySecs: 2 }));
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { protocolVersion: 5 });
  flood = startFlood(client);
  browser = await launchBrowser();
  const { page } = await openPage(browser);
  await page.goto(`http://127.0.0.1:${httpPort}/devices`);
  await isConnected(page);
  const heaps = await watchHeaps(page);
  const looks = await lookOn(page, heaps);
  tellOfGrowth(looks);
  client.end(true);
} finally {
  clearInterval(flood);
  await browser?.close();
  for (const program of programs) await program.stop();
}

async function lookOn(page, heaps) {
  const looks = [];
  const startedAt = Date.now();
  for (let round = 0; Date.now() - startedAt < minutes * 60_000; round++) {
    await visit(page, SCREENS[round % SCREENS.length]);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const heap = await heaps();
    const look = {
      ...heap,
      resident: await residentBytes(page),
      seconds: Math.round((Date.now() - startedAt) / 1_000),
    };
    looks.push(look);
    const where = new URL(page.url()).pathname;
    console.log(
      `${look.seconds} s, ${where}: page ${inMib(look.page)}, workers ${inMib(look.workers)}, ` +
        `process ${inMib(look.resident)}`,
    );
  }
  return looks;
}

/** Without loading the page anew: what it has gathered is to stay. */
async function visit(page, address) {
  await page.evaluate((to) => {
    const { history, PopStateEvent } = globalThis;
    history.pushState({}, '', to);
    globalThis.dispatchEvent(new PopStateEvent('popstate', { state: {} }));
  }, address);
}

/** Asks the page and its workers, each through a session of its own, for their heaps without garbage. */
async function watchHeaps(page) {
  const session = await page.context().newCDPSession(page);
  const workers = new Map();
  const answers = new Map();
  let asked = 0;
  session.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => {
    if (targetInfo.type === 'worker') workers.set(sessionId, targetInfo.url);
  });
  session.on('Target.detachedFromTarget', ({ sessionId }) => workers.delete(sessionId));
  session.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, result } = JSON.parse(message);
    answers.get(id)?.(result);
    answers.delete(id);
  });
  // Those of playwright itself are flat, and it has no way to speak to a worker's heap.
  await session.send('Target.setAutoAttach', {
    autoAttach: true,
    waitForDebuggerOnStart: false,
    flatten: false,
  });
  const askWorker = (sessionId, method) =>
    new Promise((resolve) => {
      const id = ++asked;
      answers.set(id, resolve);
      void session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method }) });
    });
  return async () => {
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    let inWorkers = 0;
    for (const sessionId of workers.keys()) {
      await askWorker(sessionId, 'HeapProfiler.collectGarbage');
      inWorkers += (await askWorker(sessionId, 'Runtime.getHeapUsage')).usedSize;
    }
    return { page: usedSize, workers: inWorkers };
  };
}

/** Of the page's process, which its workers share. */
async function residentBytes(page) {
  const session = await page.context().browser().newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  let most = 0;
  for (const { type, id } of processInfo) {
    if (type !== 'renderer') continue;
    const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
    most = Math.max(most, Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024);
  }
  return most;
}

/** What is bounded has to be full first: the sparklines' samples take six minutes. */
function tellOfGrowth(looks) {
  const settled = looks.slice(Math.floor(looks.length / 2));
  const half = Math.floor(settled.length / 2);
  const mean = (part, what) => part.reduce((sum, look) => sum + look[what], 0) / Math.max(part.length, 1);
  for (const what of ['page', 'workers', 'resident']) {
    const [first, second] = [mean(settled.slice(0, half), what), mean(settled.slice(half), what)];
    console.log(`${what}: ${inMib(first)} in the third quarter of the time, ${inMib(second)} in the fourth`);
  }
}

function inMib(bytes) {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
