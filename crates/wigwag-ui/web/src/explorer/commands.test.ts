import { execFileSync } from 'node:child_process';

import { expect, test } from 'vitest';

import { quoted, subscribeCommands } from './commands.ts';

function lines(url: string, userName?: string, filter = 'plant/#'): string[] {
  return subscribeCommands(url, userName, filter).map(({ line }) => line);
}

test('the lines go to this broker, over WebSocket as the page does and by the usual port', () => {
  expect(lines('ws://lab.local:9001/')).toEqual([
    "wigwag sub -h lab.local --ws -p 9001 -v -t 'plant/#'",
    "mosquitto_sub -h lab.local -p 1883 -v -t 'plant/#'",
  ]);
});

test('with TLS and a user, whose password is in no line', () => {
  expect(lines('wss://lab.local/mqtt', 'joe b')).toEqual([
    `wigwag sub -h lab.local --ws -p 443 --tls-use-os-certs -u 'joe b' -P "$MQTT_PASSWORD" -v -t 'plant/#'`,
    `mosquitto_sub -h lab.local -p 8883 --tls-use-os-certs -u 'joe b' -P "$MQTT_PASSWORD" -v -t 'plant/#'`,
  ]);
});

test.each([
  ['mqtt://lab.local', '-h lab.local -p 1883'],
  ['tcp://[::1]:1884', '-h ::1 -p 1884'],
  ['mqtts://lab.local', '-h lab.local -p 8883 --tls-use-os-certs'],
  ["unix:///run/it's.sock", `--unix '/run/it'\\''s.sock'`],
])('to %s they go as its server does', (address, way) => {
  expect(lines(address)).toEqual([
    `wigwag sub ${way} -v -t 'plant/#'`,
    `mosquitto_sub ${way} -v -t 'plant/#'`,
  ]);
});

test('an address of IPv6 has no brackets, and a path that the tools cannot ask for no line', () => {
  expect(lines('ws://[::1]:9001')[0]).toContain('-h ::1 --ws');
  expect(lines('ws://lab.local:3000/mqtt/2')).toHaveLength(1);
});

test.each([
  'plant/line 1',
  "it's",
  '$(reboot)`reboot`"$HOME"',
  'back\\slash',
  "new\nline, bell\u0007, 'quotes' and \\",
  '\u001b[201~; reboot',
  'safe\u202egpj.exe',
  'grün/東京',
])('a shell reads %j as it was', (text) => {
  expect(quoted(text)).not.toMatch(/\p{Cc}|\u202e/u);
  expect(execFileSync('bash', ['-c', `printf %s ${quoted(text)}`], { encoding: 'utf8' })).toBe(text);
});
