import { expect, test } from 'vitest';

import { joined, missing } from './spans.ts';

test('what is not covered is missing, the latest first', () => {
  const known = [
    { from: 20, to: 30 },
    { from: 50, to: 99 },
  ];
  expect(missing({ from: 0, to: 60 }, known)).toEqual([
    { from: 30, to: 50 },
    { from: 0, to: 20 },
  ]);
  expect(missing({ from: 25, to: 40 }, known)).toEqual([{ from: 30, to: 40 }]);
  expect(missing({ from: 21, to: 29 }, known)).toEqual([]);
  expect(missing({ from: 0, to: 10 }, known)).toEqual([{ from: 0, to: 10 }]);
  expect(missing({ from: 0, to: 10 }, [])).toEqual([{ from: 0, to: 10 }]);
  const overlapping = [
    { from: 0, to: 9 },
    { from: 2, to: 5 },
  ];
  expect(missing({ from: 0, to: 10 }, overlapping)).toEqual([{ from: 9, to: 10 }]);
});

test('spans that touch become one', () => {
  const spans = [
    { from: 5, to: 9 },
    { from: 0, to: 3 },
    { from: 3, to: 4 },
    { from: 6, to: 7 },
    { from: 8, to: 8 },
  ];
  expect(joined(spans)).toEqual([
    { from: 0, to: 4 },
    { from: 5, to: 9 },
  ]);
});
