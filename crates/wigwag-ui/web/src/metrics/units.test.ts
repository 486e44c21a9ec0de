import { expect, test } from 'vitest';

import type { Unit } from './units.ts';
import { formatValue, unitOf } from './units.ts';

test.each<[number | null, Unit, string]>([
  [null, 'count', '–'],
  [NaN, 'bytes', '–'],
  [Infinity, 'count', '∞'],
  [0, 'per-second', '0/s'],
  [0.123, 'per-second', '0.12/s'],
  [0.001, 'per-second', '<0.01/s'],
  [12.34, 'per-second', '12.3/s'],
  [999, 'count', '999'],
  [1_000, 'count', '1 k'],
  [1_234_567, 'count', '1.23 M'],
  [-5.5, 'count', '−5.5'],
  [500, 'bytes', '500 B'],
  [1_536, 'bytes', '1.5 KiB'],
  [3 * 1024 * 1024, 'bytes-per-second', '3 MiB/s'],
  [1e30, 'count', '1.0e+18 T'],
  [0.000_071, 'seconds', '71 µs'],
  [0.012, 'seconds', '12 ms'],
  [2.5, 'seconds', '2.5 s'],
  [0.256, 'cores', '25.6 %'],
])('%s in %s is %s', (value, unit, expected) => {
  expect(formatValue(value, unit)).toBe(expected);
});

test('a moment has its date', () => {
  expect(formatValue(1_767_268_800, 'timestamp')).toMatch(/^2026-01-01 \d\d:\d\d:\d\d$/);
});

test.each<[string, boolean, Unit]>([
  ['wigwag_bytes_total', true, 'bytes-per-second'],
  ['wigwag_held_bytes', false, 'bytes'],
  ['$SYS/broker/load/bytes/sent/1min', false, 'count'],
  ['$SYS/broker/heap/current', false, 'bytes'],
  ['process_start_time_seconds', false, 'timestamp'],
  ['wigwag_persist_last_save_duration_seconds', false, 'seconds'],
  ['process_cpu_seconds_total', true, 'cores'],
  ['process_cpu_seconds_total', false, 'seconds'],
  ['wigwag_sessions', false, 'count'],
])('%s (rate: %s) is in %s', (name, isRate, expected) => {
  expect(unitOf(name, isRate)).toBe(expected);
});
