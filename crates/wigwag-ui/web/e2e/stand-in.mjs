#!/usr/bin/env node
/**
 * Plays `wigwag device` and `wigwag dashboard` for work on the web UI alone: a small simulated device, and the embedded
 * UI served by the crate's example. Use it as WIGWAG_BIN, with E2E_BROKER=mosquitto, when the other crates are not at
 * hand.
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';

import mqtt from 'mqtt';

const STATE_EVERY_MS = 2000;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    broker: { type: 'string' },
    id: { type: 'string', default: '1' },
    'http-port': { type: 'string', default: '3000' },
  },
});

switch (positionals[0]) {
  case 'device':
    await startDevice(options.broker, options.id);
    break;
  case 'dashboard':
    await startDashboard(options.broker);
    break;
  default:
    console.error('usage: stand-in.mjs device|dashboard [options]');
    process.exit(2);
}
console.log('ready');

async function startDashboard(broker) {
  const address = `127.0.0.1:${options['http-port']}`;
  const cargo = ['run', '-q', '-p', 'wigwag-ui', '--example', 'serve', '--', address, broker];
  const server = spawn('cargo', cargo, { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('SIGTERM', () => server.kill());
  server.on('exit', (code) => process.exit(code ?? 0));
  await new Promise((resolve) => server.stdout.on('data', resolve));
}

async function startDevice(broker, id) {
  const presence = `device/${id}/online`;
  const client = await mqtt.connectAsync(broker, {
    protocolVersion: 5,
    clientId: `wigwag-device-${id}`,
    keepalive: 30,
    clean: false,
    properties: { sessionExpiryInterval: 60 },
    reconnectPeriod: 500,
    will: { topic: presence, payload: 'false', qos: 1, retain: true },
  });
  let status = 'idle';
  let temperature = 36 + Math.random() * 2;

  const publishState = () => {
    temperature += (37.5 - temperature) * 0.1 + (Math.random() - 0.5);
    const state = {
      deviceId: id,
      status,
      temperature: Math.round(temperature * 10) / 10,
      timestamp: Math.floor(Date.now() / 1000),
    };
    client.publish(`device/${id}/state`, JSON.stringify(state), { retain: true });
  };
  const greet = () => {
    client.publish(presence, 'true', { qos: 1, retain: true });
    client.subscribe(`device/${id}/command`, { qos: 1 });
    publishState();
  };
  client.on('connect', greet);
  client.on('error', () => {});
  client.on('message', (_topic, payload, packet) => {
    const { responseTopic, correlationData } = packet.properties ?? {};
    const { action } = JSON.parse(payload);
    const known = action === 'start' || action === 'stop';
    if (known) {
      status = action === 'start' ? 'running' : 'idle';
      publishState();
    }
    const reply = known
      ? { deviceId: id, ok: true, status }
      : { deviceId: id, ok: false, error: `unknown action "${action}"; allowed: start, stop` };
    if (responseTopic)
      client.publish(responseTopic, JSON.stringify(reply), { qos: 1, properties: { correlationData } });
  });
  greet();
  setInterval(() => status === 'running' && client.connected && publishState(), STATE_EVERY_MS);
}
