import { expect, test } from 'vitest';

import { Pacer } from './pacing.ts';

function sentIn(pacer: Pacer, from: number, to: number, everyMs: number): number {
  let sent = 0;
  for (let now = from; now < to; now += everyMs) sent += pacer.take(1_000, now);
  return sent;
}

test.each([
  [10, 10],
  [50, 50],
  [1_000, 1_000],
])('at %i a second, it is about %i in a second, however often it is asked', (rate, expected) => {
  for (const everyMs of [7, 50, 100]) {
    const sent = sentIn(new Pacer(rate, 0), 0, 10_000, everyMs);
    expect(Math.abs(sent - 10 * expected)).toBeLessThanOrEqual(0.02 * 10 * expected + 1);
  }
});

test('never more than are wanted, and what was not wanted is not saved up for long', () => {
  const pacer = new Pacer(50, 0);
  expect(pacer.take(0, 60_000)).toBe(0);
  expect(pacer.take(1_000, 60_000)).toBe(50);
  expect(pacer.take(3, 60_100)).toBe(3);
});

test('a clock that is set back stops nothing', () => {
  const pacer = new Pacer(50, 100_000);
  expect(pacer.take(1, 100_000)).toBe(1);
  expect(pacer.take(10, 0)).toBe(0);
  expect(pacer.take(10, 100)).toBe(5);
});
