import { expect, test } from 'vitest';

import { readRange, windowOf } from './ranges.ts';
import { Series } from './series.ts';

test.each([
  ['1h', '1h'],
  ['all', 'all'],
  ['99y', '5m'],
  ['', '5m'],
  [null, '5m'],
])('%s in the address is %s', (text, range) => {
  expect(readRange(text)).toBe(range);
});

test('all goes back to the first value of any field, and at least a minute', () => {
  const [early, late, empty] = [new Series(), new Series(), new Series()];
  early.add(1_000, 1);
  late.add(500_000, 1);
  expect(windowOf('all', 600_000, [late, early, empty])).toEqual({ from: 1_000, to: 600_000 });
  expect(windowOf('all', 600_000, [empty])).toEqual({ from: 540_000, to: 600_000 });
  expect(windowOf('1m', 600_000, [early])).toEqual({ from: 540_000, to: 600_000 });
});
