/**
 * A pump station in the words of `sparkplug-client`, the client of Eclipse Tahu: an edge node with one device whose metrics
 * go by aliases, and one whose messages are compressed. Does as it is told, and is born again when it is asked to.
 */
import sparkplug from 'sparkplug-client';

const [port] = process.argv.slice(2);
const ALIASES = new Map([
  [1, 'speed'],
  [2, 'running'],
  [3, 'name'],
  [4, 'limit'],
]);
const COMPRESSED = { compress: true, algorithm: 'GZIP' };

const pump = { speed: 1450.5, running: true, name: 'P-101', limit: -5 };
const client = sparkplug.newClient({
  serverUrl: `mqtt://127.0.0.1:${port}`,
  username: '',
  password: '',
  groupId: 'station',
  edgeNode: 'gateway',
  clientId: 'gateway',
  publishDeath: true,
  version: 'spBv1.0',
});

client.on('birth', () => {
  client.publishNodeBirth({
    timestamp: Date.now(),
    metrics: [
      { name: 'Node Control/Rebirth', type: 'Boolean', value: false },
      { name: 'Properties/Hardware Make', type: 'String', value: 'Tahu' },
      { name: 'uptime', type: 'UInt64', value: 5_000_000_000 },
    ],
  });
  client.publishDeviceBirth('pump', { timestamp: Date.now(), metrics: pumpMetrics() });
  client.publishDeviceBirth('tank', { timestamp: Date.now(), metrics: tankMetrics(0.5) }, COMPRESSED);
  client.publishDeviceData('tank', { timestamp: Date.now(), metrics: tankMetrics(0.75) }, COMPRESSED);
  console.log('ready');
});

client.on('ncmd', ({ metrics }) => {
  if (metrics.some(({ name, value }) => name === 'Node Control/Rebirth' && value === true)) {
    client.emit('birth');
  }
});

client.on('dcmd', (device, { metrics }) => {
  if (device !== 'pump') return;
  for (const { alias, value } of metrics) {
    const name = ALIASES.get(Number(alias));
    pump[name] = typeof value === 'object' ? Number(value) : value;
    const { type, value: taken } = pumpMetrics().find((one) => one.name === name);
    client.publishDeviceData('pump', { timestamp: Date.now(), metrics: [{ alias, type, value: taken }] });
  }
});

process.on('SIGTERM', () => {
  client.stop();
  setTimeout(() => process.exit(0), 100);
});

function pumpMetrics() {
  const unit = (value) => ({ engUnit: { type: 'String', value } });
  const writable = { readOnly: { type: 'Boolean', value: false } };
  return [
    { name: 'speed', alias: 1, type: 'Double', value: pump.speed, properties: unit('rpm') },
    { name: 'running', alias: 2, type: 'Boolean', value: pump.running },
    { name: 'name', alias: 3, type: 'String', value: pump.name, properties: writable },
    {
      name: 'limit',
      alias: 4,
      type: 'Int32',
      value: pump.limit,
      properties: { ...writable, ...unit('bar') },
    },
  ];
}

function tankMetrics(level) {
  return [
    { name: 'level', type: 'Float', value: level, properties: { engUnit: { type: 'String', value: 'm' } } },
  ];
}
