import { expect, test } from 'vitest';

import { covers, filterProblem, withFilter } from './filters.ts';

test.each(['#', '+', 'a/+/b', '/#', 'a//b', '$SYS/#', '+/+'])('%s is a Topic Filter', (filter) => {
  expect(filterProblem(filter)).toBeUndefined();
});

test.each(['', 'a#', '#/a', 'a/#/b', 'a+', 'a/b+/c', 'a\0'])('%j is none', (filter) => {
  expect(filterProblem(filter)).toBeDefined();
});

test.each([
  ['#', 'a/b', true],
  ['#', '$SYS/#', false],
  ['a/#', 'a', true],
  ['a/#', 'a/+/c', true],
  ['a/+', 'a/#', false],
  ['a/+', 'a/+', true],
  ['a/+', 'a/b', true],
  ['a/b', 'a/+', false],
  ['+/b', 'a/+', false],
])('that %s covers %s is %s', (wide, narrow, expected) => {
  expect(covers(wide, narrow)).toBe(expected);
});

test('a filter takes the place of those that it covers, and none is added that is covered', () => {
  expect(withFilter(['a/b', '$SYS/#', 'a/c/#'], '#')).toEqual(['$SYS/#', '#']);
  expect(withFilter(['a/#'], 'a/+')).toEqual(['a/#']);
});
