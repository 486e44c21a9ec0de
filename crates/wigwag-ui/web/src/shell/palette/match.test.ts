import { expect, test } from 'vitest';

import { matching } from './match.ts';

const NAMES = ['Devices', 'Device 1', 'Settings', 'Dark theme', 'plant/line/dev', 'undevised'];

test.each([
  ['', NAMES],
  ['dev', ['Devices', 'Device 1', 'plant/line/dev', 'undevised']],
  ['DEV 1', ['Device 1']],
  ['theme', ['Dark theme']],
  ['line plant', ['plant/line/dev']],
  ['nothing', []],
  ['.*', []],
])('%j finds %j', (text, expected) => {
  expect(matching(NAMES, text, (name) => ({ name, about: '' }))).toEqual(expected);
});

test('what is only in the description comes last', () => {
  const entries = [
    { name: 'Settings', about: 'Theme and times' },
    { name: 'Dark theme', about: '' },
  ];
  expect(matching(entries, 'theme', (entry) => entry).map(({ name }) => name)).toEqual([
    'Dark theme',
    'Settings',
  ]);
});
