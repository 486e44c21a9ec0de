import { expect, test } from 'vitest';

import { lonely } from './lonely.ts';

test('a value between gaps, or all by itself, is lonely', () => {
  expect(lonely([5], 0, 0)).toEqual([0]);
  expect(lonely([5, 6], 0, 1)).toEqual([]);
  expect(lonely([1, 2, null, 3, null, null, 4], 0, 6)).toEqual([3, 6]);
  expect(lonely([null, null], 0, 1)).toEqual([]);
});

test('only what is in view is looked at, and a neighbour out of view is one', () => {
  expect(lonely([7, null, 8, 9, null, 3], 1, 4)).toEqual([]);
  expect(lonely([7, 8, null], 1, 2)).toEqual([]);
});
