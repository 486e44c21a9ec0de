import { expect, test } from 'vitest';

import { backoffMs } from './backoff.ts';

test.each([
  [1, 0, 500],
  [1, 0.999999, 2_000],
  [2, 0.5, 2_000],
  [4, 0.999999, 16_000],
  [5, 0.999999, 30_000],
  [1_000_000, 0.999999, 30_000],
])('attempt %i with random %f waits %i ms', (attempt, random, expected) => {
  expect(backoffMs(attempt, random)).toBe(expected);
});
