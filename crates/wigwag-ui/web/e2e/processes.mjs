/**
 * Starts and ends the programs of the browser test: `wigwag` in its parts, and Mosquitto in place of our broker when
 * E2E_BROKER=mosquitto asks for it. Every program is on 127.0.0.1 and on ports that nobody else is given meanwhile.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const START_WITHIN_MS = 180_000;
const STOP_WITHIN_MS = 10_000;
const OUTPUT_LINES_KEPT = 40;
/**
 * Below those that systems give to outgoing connections: of those, a client that tries again could get its broker's. The
 * other tests of the workspace have the ports from 20,000 on.
 */
const PORTS = { first: 12_000, count: 7_000 };

const wigwag = process.env.WIGWAG_BIN;
const withMosquitto = process.env.E2E_BROKER === 'mosquitto';

export async function freePorts(count) {
  const ports = new Set();
  while (ports.size < count) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

async function isFree(port) {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

export function startBroker({ mqttPort, wsPort }) {
  if (withMosquitto) return startMosquitto({ mqttPort, wsPort });
  return startWigwag('broker', '--mqtt-port', mqttPort, '--ws-port', wsPort);
}

export function startDevice({ mqttPort, id }) {
  return startWigwag('device', '--broker', `mqtt://127.0.0.1:${mqttPort}`, '--id', id);
}

export function startDashboard({ wsPort, httpPort }) {
  return startWigwag('dashboard', '--broker', `ws://127.0.0.1:${wsPort}`, '--http-port', httpPort);
}

/** `brokers` are ports of MQTT over TCP, by the names that the page is to know them by. */
export function startDashboardOf(brokers, httpPort) {
  const named = Object.entries(brokers).flatMap(([name, port]) => [
    '--broker',
    `${name}=mqtt://127.0.0.1:${port}`,
  ]);
  return startWigwag('dashboard', ...named, '--http-port', httpPort);
}

/** Devices of the dashboard, a state of each in so many seconds. */
export function startSimulation({ mqttPort, count, everySecs }) {
  const fleet = ['kind = "dashboard"', `count = ${count}`, 'id = "{n}"', `every = "${everySecs}s"`];
  return startFleets({ mqttPort, fleets: [fleet] });
}

/** Devices as `wigwag simulate` has them, from the lines of each fleet. */
export async function startFleets({ mqttPort, fleets }) {
  const folder = mkdtempSync(join(tmpdir(), 'wigwag-e2e-'));
  const scenario = join(folder, 'scenario.toml');
  writeFileSync(scenario, fleets.flatMap((lines) => ['[[fleet]]', ...lines]).join('\n'));
  const broker = `mqtt://127.0.0.1:${mqttPort}`;
  const args = ['simulate', scenario, '--broker', broker, '--report', '1s'];
  const program = await Program.start(wigwag, args, { readyLine: /online/ });
  program.whenEnded(() => rmSync(folder, { recursive: true, force: true }));
  return program;
}

/** It records messages only where it is told to: not where this user's own history is. */
export function startUp({ devices, mqttPort, wsPort, httpPort, historyDir }) {
  const history = historyDir === undefined ? ['--no-history'] : ['--history-dir', historyDir];
  return startWigwag(
    'up',
    '--devices',
    devices,
    '--mqtt-port',
    mqttPort,
    '--ws-port',
    wsPort,
    '--http-port',
    httpPort,
    ...history,
  );
}

function startWigwag(...args) {
  if (!wigwag) throw new Error('WIGWAG_BIN must name the wigwag program, or e2e/stand-in.mjs');
  return Program.start(wigwag, args.map(String), { readyLine: /^ready/m });
}

function startMosquitto({ mqttPort, wsPort }) {
  return startConfigured(
    'mosquitto',
    ['-v', '-c'],
    [...listeners({ mqttPort, wsPort }), 'allow_anonymous true'],
  );
}

/** Without WebSocket; `program` is `mosquitto` or `wigwag`. */
export function startPlainBroker(program, mqttPort) {
  const lines = [`listener ${mqttPort} 127.0.0.1`, 'allow_anonymous true', 'persistence false'];
  return program === 'mosquitto'
    ? startConfigured('mosquitto', ['-v', '-c'], lines)
    : startConfigured(wigwag, ['broker', '-c'], lines);
}

/**
 * Our broker with the web UI, MQTT and its interface at one address, for these users and nobody else. Each may read and
 * write what `topics` say.
 */
export function startBrokerWithPage({ mqttPort, httpPort, users }) {
  const { folder, lines: rules } = rulesFor(users, [wigwag, 'passwd']);
  const lines = [
    `listener ${mqttPort} 127.0.0.1`,
    `listener ${httpPort} 127.0.0.1`,
    'protocol http_api',
    'persistence false',
    ...rules,
  ];
  return startConfigured(wigwag, ['broker', '-c'], lines, folder);
}

/** Lets these users in, and nobody else. Each may read and write what `topics` say. */
export function startBrokerWithUsers({ mqttPort, wsPort, users }) {
  const { folder, lines: rules } = rulesFor(users, withMosquitto ? ['mosquitto_passwd'] : [wigwag, 'passwd']);
  const lines = [...listeners({ mqttPort, wsPort }), ...rules];
  const [program, options] = withMosquitto ? ['mosquitto', ['-v', '-c']] : [wigwag, ['broker', '-c']];
  return startConfigured(program, options, lines, folder);
}

/** The files that say who may do what, and the lines of a configuration that name them. */
function rulesFor(users, [command, ...args]) {
  const folder = mkdtempSync(join(tmpdir(), 'wigwag-e2e-'));
  const passwords = join(folder, 'passwords');
  users.forEach(({ name, password }, index) => {
    execFileSync(command, [...args, ...(index === 0 ? ['-c'] : []), '-b', passwords, name, password]);
  });
  const rules = join(folder, 'rules');
  const ruleOf = ({ name, topics }) =>
    [`user ${name}`, ...topics.map((topic) => `topic readwrite ${topic}`), ''].join('\n');
  writeFileSync(rules, users.map(ruleOf).join('\n'));
  // The brokers give up the rights of root, and with them this folder.
  chmodSync(folder, 0o755);
  for (const file of [passwords, rules]) chmodSync(file, 0o644);
  return { folder, lines: ['allow_anonymous false', `password_file ${passwords}`, `acl_file ${rules}`] };
}

function listeners({ mqttPort, wsPort }) {
  return [
    `listener ${mqttPort} 127.0.0.1`,
    `listener ${wsPort} 127.0.0.1`,
    'protocol websockets',
    // What is retained is gone with the process.
    'persistence false',
  ];
}

async function startConfigured(command, args, lines, folder = mkdtempSync(join(tmpdir(), 'wigwag-e2e-'))) {
  const file = join(folder, 'mosquitto.conf');
  writeFileSync(file, lines.join('\n'));
  const program = await Program.start(command, [...args, file], { readyLine: /running/ });
  program.whenEnded(() => rmSync(folder, { recursive: true, force: true }));
  return program;
}

export class Program {
  #child;
  #name;
  #output = [];

  /** Resolves when the program printed its ready line. */
  static async start(command, args, { readyLine }) {
    const program = new Program();
    await program.#start(command, args, readyLine);
    return program;
  }

  async #start(command, args, readyLine) {
    this.#name = [command, ...args].join(' ');
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail('printed no ready line in time'), START_WITHIN_MS);
      const fail = (what) => {
        clearTimeout(timer);
        reject(new Error(`${this.#name} ${what}\n${this.output()}`));
      };
      let isReady = false;
      // A line may come in two pieces.
      let said = '';
      const listen = (text) => {
        this.#output = [...this.#output, ...String(text).trimEnd().split('\n')].slice(-OUTPUT_LINES_KEPT);
        if (isReady) return;
        said += text;
        isReady = readyLine.test(said);
        if (isReady) resolve(clearTimeout(timer));
      };
      this.#child.stdout.on('data', listen);
      this.#child.stderr.on('data', listen);
      this.#child.on('error', (error) => fail(error.message));
      this.#child.on('exit', (code, signal) => fail(`ended with ${code ?? signal} before it was ready`));
    });
  }

  output() {
    return this.#output.map((line) => `  ${line}`).join('\n');
  }

  whenEnded(act) {
    this.#child.on('exit', act);
  }

  /** Ends at once, without a word to anyone: a crash. */
  kill() {
    return this.#end('SIGKILL');
  }

  /** Ends in order. */
  async stop() {
    return this.#end('SIGTERM');
  }

  async #end(signal) {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_WITHIN_MS);
    await ended;
    clearTimeout(timer);
  }
}
