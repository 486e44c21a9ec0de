import { afterEach, expect, test } from 'vitest';

import {
  formatAge,
  formatAgo,
  formatBytes,
  formatTemperature,
  formatTime,
  formatTimeMs,
  setTimeStyle,
} from './format.ts';

afterEach(() => {
  setTimeStyle('24');
});

test.each([
  [0, 'now'],
  [999, 'now'],
  [1_000, '1 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [3_599_999, '59 min'],
  [7_200_000, '2 h'],
  [200_000_000, '2 d'],
])('an age of %i ms is %s', (ms, text) => {
  expect(formatAge(ms)).toBe(text);
  expect(formatAgo(ms)).toBe(text === 'now' ? 'just now' : `${text} ago`);
});

test.each([
  [37.46, '37.5'],
  [-0.04, '−0.0'],
  [36, '36.0'],
  [99_999.94, '99999.9'],
  [1e300, '1.0e+300'],
])('a temperature of %f is %s', (value, text) => {
  expect(formatTemperature(value)).toBe(text);
});

test('a time of another day comes with its date', () => {
  const at = new Date(2026, 0, 2, 3, 4, 5).getTime();
  expect(formatTime(at)).toBe('03:04:05');
  expect(formatTime(at, at + 3 * 86_400_000)).toBe('2026-01-02 03:04:05');
});

test.each([
  [0, '12:00:00 AM'],
  [9, '9:00:00 AM'],
  [12, '12:00:00 PM'],
  [15, '3:00:00 PM'],
])('hour %i on a clock of 12 hours is %s', (hour, text) => {
  setTimeStyle('12');
  expect(formatTime(new Date(2026, 6, 1, hour).getTime())).toBe(text);
});

test('UTC is marked as such, behind the milliseconds', () => {
  setTimeStyle('utc');
  const at = Date.UTC(2026, 6, 1, 13, 4, 5, 6);
  expect(formatTime(at)).toBe('13:04:05Z');
  expect(formatTimeMs(at)).toBe('13:04:05.006Z');
  expect(formatTime(at, at + 86_400_000)).toBe('2026-07-01 13:04:05Z');
});

test.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_536, '1.5 KiB'],
  [5 * 1024 * 1024, '5.0 MiB'],
])('%i bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
