import { expect, test } from 'vitest';

import { formatPath, numberAt, plottable, PLOTTABLE_MAX } from './path.ts';
import { fromJson } from './value.ts';

const VALUE = fromJson({ a: { 'b c': [1, '2.5', 'x', true] }, d: null, e: 'NaN', 'f-g': 7 });

test('numbers are found with their place', () => {
  expect(plottable(VALUE).map(({ path, number }) => [formatPath(path), number])).toEqual([
    ['$.a["b c"][0]', 1],
    ['$.a["b c"][1]', 2.5],
    ['$.a["b c"][3]', 1],
    ['$.f-g', 7],
  ]);
  expect(plottable(21.5)).toEqual([{ path: [], number: 21.5 }]);
});

test('a place is found again, and is empty in a message that lacks it', () => {
  expect(numberAt(VALUE, ['a', 'b c', 1])).toBe(2.5);
  expect(numberAt(VALUE, ['a', 0])).toBeUndefined();
  expect(numberAt(fromJson('x'), ['a', 'length'])).toBeUndefined();
});

test('of very many numbers the first are offered', () => {
  expect(plottable(fromJson(Array.from({ length: 10_000 }, (_, index) => index)))).toHaveLength(
    PLOTTABLE_MAX,
  );
});
