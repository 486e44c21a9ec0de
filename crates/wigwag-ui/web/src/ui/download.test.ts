import { expect, test } from 'vitest';

import { fileName } from './download.ts';

test.each([
  ['device-1.csv', 'device-1.csv'],
  ['device-../../etc/passwd.csv', 'device-.._.._etc_passwd.csv'],
  ['device-Küche 2.csv', 'device-Küche_2.csv'],
  ['<b>.png', '_b_.png'],
])('%s is saved as %s', (name, expected) => {
  expect(fileName(name)).toBe(expected);
});

test('a long name keeps its ending', () => {
  expect(fileName(`${'x'.repeat(5_000)}.csv`)).toMatch(/^x{96}\.csv$/);
});
