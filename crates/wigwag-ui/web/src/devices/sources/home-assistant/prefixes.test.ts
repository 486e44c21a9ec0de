import { beforeEach, describe, expect, test } from 'vitest';

import { brokerAt } from '../../../testing.ts';
import { whyNotPrefix } from './config-topics.ts';
import { prefixOf, PREFIXES_MAX, usePrefixes } from './prefixes.ts';

const A = brokerAt('ws://a');
const B = brokerAt('ws://b');

beforeEach(() => {
  localStorage.clear();
  usePrefixes.setState(usePrefixes.getInitialState());
});

describe('a prefix', () => {
  test.each([
    ['homeassistant', undefined],
    ['Haus/Geräte', undefined],
    ['a//b c', undefined],
    ['', 'A prefix is needed'],
    ['ha/#', 'neither + nor #'],
    ['+', 'neither + nor #'],
    ['/ha', 'leave out the /'],
    ['ha/', 'leave out the /'],
    ['/', 'leave out the /'],
    ['$SYS/ha', 'begin with $'],
    ['$share/g/ha', 'begin with $'],
    ['h\0a', 'U+0000'],
    ['h\ta', 'U+0009'],
    ['h\ud800a', 'U+D800'],
    ['h\ufdd0a', 'U+FDD0'],
    ['h\u{1ffff}a', 'U+1FFFF'],
  ])('%j', (prefix, problem) => {
    const why = whyNotPrefix(prefix);
    if (problem === undefined) expect(why).toBeUndefined();
    else expect(why).toContain(problem);
  });
});

test('a prefix is as long as a Topic Filter has room for', () => {
  expect(whyNotPrefix('ä'.repeat(32_761))).toBeUndefined();
  expect(whyNotPrefix('ä'.repeat(32_761) + 'x')).toContain('65523 bytes; at most 65522');
});

function prefixes(): string[] {
  return [A, B].map((broker) => prefixOf(usePrefixes.getState(), broker));
}

test('each broker has its own, the usual one unless it was set', () => {
  usePrefixes.getState().setPrefix(B, 'lab');
  expect(prefixes()).toEqual(['homeassistant', 'lab']);
  usePrefixes.getState().setPrefix(B, 'homeassistant');
  expect(prefixes()).toEqual(['homeassistant', 'homeassistant']);
  expect(usePrefixes.getState().prefixes).toEqual([]);
});

test('what is kept is there again, and what is not of that kind is not', async () => {
  usePrefixes.getState().setPrefix(A, 'mine');
  expect(localStorage.getItem('wigwag.prefixes')).toContain('mine');
  const stored = [
    ['ws://a', 'mine'],
    ['ws://b', '#'],
    ['x'.repeat(1_001), 'y'],
    7,
    null,
    [7, 'x'],
    ['ws://c'],
  ];
  localStorage.setItem('wigwag.prefixes', JSON.stringify({ state: { prefixes: stored }, version: 1 }));
  await usePrefixes.persist.rehydrate();
  expect(usePrefixes.getState().prefixes).toEqual([['ws://a', 'mine']]);
});

test('of too many the first goes, and a broker that cannot be reached has none', () => {
  usePrefixes.getState().setPrefix(A, 'first');
  for (let index = 0; index < PREFIXES_MAX; index++) {
    usePrefixes.getState().setPrefix(brokerAt(`ws://more/${index}`), 'lab');
  }
  expect(prefixes()[0]).toBe('homeassistant');
  expect(usePrefixes.getState().prefixes).toHaveLength(PREFIXES_MAX);
  usePrefixes.getState().setPrefix(brokerAt('ws://b', { address: { problem: 'wrong' } }), 'lab');
  expect(usePrefixes.getState().prefixes).toHaveLength(PREFIXES_MAX);
});
