import { expect, test } from 'vitest';

import { NO_SEARCH } from '../address.ts';
import type { Search } from '../protocol.ts';
import { readSearch, REGEX_CHARS_MAX, SEARCHED_BYTES_MAX } from './search.ts';
import { message } from './testing.ts';

const latest = message('Plant/temp', '{"unit":"°C","v":21}');

function finds(change: Partial<Search>, where = latest): boolean {
  const read = readSearch({ ...NO_SEARCH, ...change });
  if ('problem' in read) throw new Error(read.problem);
  return read.test(where.topic, where);
}

function problem(kind: Search['kind'], text: string): string | undefined {
  const read = readSearch({ ...NO_SEARCH, kind, text });
  return 'problem' in read ? read.problem : undefined;
}

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
  [{ text: 'PLANT/(?:temp|rate)$', kind: 'regex' }, true],
  [{ text: 'PLANT', kind: 'regex', matchCase: true }, false],
  [{ text: '\\p{L}+/temp', kind: 'regex' }, true],
] as const)('a search for %j', (change, expected) => {
  expect(finds(change)).toBe(expected);
});

test.each([
  ['regex', '(', 'This is no regular expression: missing closing ): `(`.'],
  ['regex', 'a{2000}', 'This is no regular expression: invalid repeat count: `{2000}`.'],
  ['regex', '(?=a)b', /RE2 here: looking ahead or behind.* is not among them\.$/],
  ['regex', '(?<!a)b', /looking ahead or behind/],
  ['regex', '(a)\\1', /referring to what a group has found/],
  ['regex', '(?>a)', /atomic groups/],
  ['filter', 'a/#/b', /the last one/],
] as const)('a search by %s for %j says what is wrong', (kind, text, expected) => {
  expect(problem(kind, text)).toMatch(expected);
});

test('a regular expression has a bound', () => {
  expect(problem('regex', 'a'.repeat(REGEX_CHARS_MAX))).toBeUndefined();
  expect(problem('regex', 'a'.repeat(REGEX_CHARS_MAX + 1))).toMatch(/at most 500 characters/);
});

test('a text is never wrong', () => {
  expect(problem('text', '(')).toBeUndefined();
});

test('an expression that other engines never end with takes its time from the text', () => {
  const payload = 'a'.repeat(SEARCHED_BYTES_MAX - 1) + '!';
  const begun = performance.now();
  for (const text of ['^(a+)+$', '^(a|aa)+$', '^(?:a?){100}b', '(.*){20}x']) {
    expect(finds({ kind: 'regex', text, place: 'payload' }, message('t', payload))).toBe(false);
  }
  expect(performance.now() - begun).toBeLessThan(30_000);
});
