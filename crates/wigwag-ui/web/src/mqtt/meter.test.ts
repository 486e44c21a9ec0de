import { expect, test } from 'vitest';

import { Meter } from './meter.ts';

test('says how often per second it was, of the last five whole ones', () => {
  const meter = new Meter();
  expect(meter.rate(1_000_000)).toBe(0);
  for (let at = 1_000_000; at < 1_005_000; at += 100) meter.count(3, at);
  expect(meter.rate(1_005_000)).toBe(30);
  expect(meter.rate(1_005_999)).toBe(30);
  expect(meter.rate(1_007_000)).toBe(18);
  expect(meter.rate(1_010_000)).toBe(0);
});

test('does not count the second that is under way', () => {
  const meter = new Meter();
  meter.count(50, 1_000_500);
  expect(meter.rate(1_000_900)).toBe(0);
  expect(meter.rate(1_001_000)).toBe(10);
});

test('begins anew when the clock is set back', () => {
  const meter = new Meter();
  meter.count(50, 1_000_000);
  meter.count(5, 400_000);
  expect(meter.rate(401_000)).toBe(1);
});

test('who asks by a clock that is a little behind takes nothing away', () => {
  const meter = new Meter();
  for (let second = 0; second < 6; second++) meter.count(10, second * 1_000);
  expect(meter.rate(4_900)).toBe(10);
  expect(meter.rate(5_100)).toBe(10);
});
