import { expect, test } from 'vitest';

import { exportedName, familyOfTopic, readNumber } from './sys-tree.ts';

test.each([
  ['17', 17],
  ['-3', -3],
  ['0.25', 0.25],
  ['42 seconds', 42],
  ['mosquitto version 2.0.11', undefined],
  ['', undefined],
  ['1e5', undefined],
  ['17 ', undefined],
])('“%s” is %s', (payload, expected) => {
  expect(readNumber(payload)).toBe(expected);
});

test('a known topic has a kind and a word on what it is', () => {
  expect(familyOfTopic('$SYS/broker/bytes/sent', 5)).toEqual({
    name: '$SYS/broker/bytes/sent',
    kind: 'counter',
    help: 'Bytes to clients',
    samples: [{ name: '$SYS/broker/bytes/sent', labels: {}, value: 5 }],
  });
  expect(familyOfTopic('$SYS/broker/load/sockets/5min', 5).help).toContain('5 min');
  expect(familyOfTopic('$SYS/brokers/a/stats', 5)).toMatchObject({ kind: 'untyped', help: '' });
});

test('an exporter’s name is the topic in the letters of Prometheus', () => {
  expect(exportedName('$SYS/broker/retained messages/count')).toBe('broker_retained_messages_count');
  expect(exportedName('$SYS/broker/load/bytes/sent/1min')).toBe('broker_load_bytes_sent_1min');
  expect(exportedName('$SYS/else')).toBeUndefined();
});
