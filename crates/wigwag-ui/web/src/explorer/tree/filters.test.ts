import { describe, expect, test } from 'vitest';

import { NO_SEARCH } from '../address.ts';
import { covers, filterProblem, withFilter } from './filters.ts';
import { searchProblem, testFor } from './search.ts';
import { message } from './testing.ts';

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

describe('a search', () => {
  const latest = message('Plant/temp', '{"unit":"°C","v":21}');
  const finds = (change: Partial<typeof NO_SEARCH>): boolean =>
    testFor({ ...NO_SEARCH, ...change })('Plant/temp', latest);

  test.each([
    [{ text: 'plant' }, true],
    [{ text: 'plant', matchCase: true }, false],
    [{ text: '°c' }, true],
    [{ text: 'unit', place: 'topic' }, false],
    [{ text: 'temp', place: 'payload' }, false],
    [{ text: '+/temp', kind: 'filter' }, true],
    [{ text: 'plant/#', kind: 'filter' }, false],
    [{ text: '"v":2\\d', kind: 'regex' }, true],
    [{ text: '^temp', kind: 'regex', place: 'topic' }, false],
  ] as const)('for %j', (change, expected) => {
    expect(finds(change)).toBe(expected);
  });

  test('says what is wrong with it', () => {
    expect(searchProblem({ ...NO_SEARCH, kind: 'regex', text: '(' })).toMatch(/group/i);
    expect(searchProblem({ ...NO_SEARCH, kind: 'filter', text: 'a/#/b' })).toMatch(/last/);
    expect(searchProblem({ ...NO_SEARCH, text: '(' })).toBeUndefined();
  });
});
