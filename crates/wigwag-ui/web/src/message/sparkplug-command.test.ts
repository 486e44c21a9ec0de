import { expect, test } from 'vitest';

import { encodeCommand, isCommandable } from './sparkplug-command.ts';
import { decodeSparkplug } from './sparkplug.ts';

const NOW = 1_767_323_045_000;

test.each<[type: string, value: string | number | bigint | boolean]>([
  ['Boolean', true],
  ['Boolean', false],
  ['Int8', -128],
  ['Int32', -5],
  ['UInt32', 4_294_967_295],
  ['Int64', -9],
  ['UInt64', 18_446_744_073_709_551_615n],
  ['Float', 21.3],
  ['Double', -1e-300],
  ['String', 'Zoë'],
  ['Text', ''],
])('a command for %s %s is read as it is meant', (type, value) => {
  const bytes = encodeCommand({ metric: 'a/b', alias: undefined, type, value, now: NOW });
  expect(decodeSparkplug(bytes)).toEqual({
    timestamp: NOW,
    metrics: [{ name: 'a/b', timestamp: NOW, type, value }],
  });
});

test('a metric with an alias is not named', () => {
  const [metric] = decodeSparkplug(
    encodeCommand({ metric: 'a', alias: 300, type: 'Boolean', value: true, now: NOW }),
  ).metrics;
  expect(metric).toMatchObject({ alias: 300, value: true });
  expect(metric?.name).toBeUndefined();
});

test('only simple types are commanded', () => {
  expect(['Int8', 'Text', 'Template', 'DataSet', 'constructor', undefined].filter(isCommandable)).toEqual([
    'Int8',
    'Text',
  ]);
});

test('what is no number is none in a payload either', () => {
  const bytes = encodeCommand({ metric: 'a', alias: undefined, type: 'Int32', value: 'x', now: NOW });
  expect(decodeSparkplug(bytes).metrics[0]?.value).toBe(0);
});
