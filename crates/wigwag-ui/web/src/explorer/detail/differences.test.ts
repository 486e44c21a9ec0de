import { expect, test } from 'vitest';

import { differences, LINES_MAX } from './differences.ts';

test('lines that differ are marked and counted', () => {
  expect(differences('{\n  "a": 1,\n  "b": 2\n}', '{\n  "a": 1,\n  "b": 3,\n  "c": 4\n}')).toEqual({
    lines: [
      { kind: 'same', text: '{' },
      { kind: 'same', text: '  "a": 1,' },
      { kind: 'removed', text: '  "b": 2' },
      { kind: 'added', text: '  "b": 3,' },
      { kind: 'added', text: '  "c": 4' },
      { kind: 'same', text: '}' },
    ],
    added: 2,
    removed: 1,
    beyond: 0,
  });
});

test.each([
  ['', 'a', 1, 0],
  ['a', '', 0, 1],
  ['a', 'a', 0, 0],
  ['a\n', 'a', 0, 0],
])('%j and %j', (before, after, added, removed) => {
  expect(differences(before, after)).toMatchObject({ added, removed });
});

test('of very long readings the beginning is shown and the rest counted', () => {
  const long = 'line\n'.repeat(LINES_MAX + 7);
  expect(differences(long, long)).toMatchObject({ added: 0, removed: 0, beyond: 7 });
});

test('what differs everywhere is given up in time', () => {
  const lines = (seed: number) => Array.from({ length: 30_000 }, (_, at) => `${at * seed}`).join('\n');
  const begun = performance.now();
  expect(differences(lines(7), lines(11))).toBeUndefined();
  expect(performance.now() - begun).toBeLessThan(30_000);
});
