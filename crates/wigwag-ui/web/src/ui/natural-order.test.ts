import { expect, test } from 'vitest';

import { compareNaturally, naturalKey } from './natural-order.ts';

function sorted(...names: string[]): string[] {
  return names
    .map(naturalKey)
    .sort(compareNaturally)
    .map(({ name }) => name);
}

test('numbers are in the order of what they count', () => {
  expect(sorted('10', 'b', '9', '1', 'a2', 'a10')).toEqual(['1', '9', '10', 'a2', 'a10', 'b']);
  expect(sorted('lamp-10', 'Lamp-9', 'lamp-2b', 'lamp-2')).toEqual([
    'lamp-2',
    'lamp-2b',
    'Lamp-9',
    'lamp-10',
  ]);
});

test('is the order of the collator for any two names', () => {
  const { compare } = new Intl.Collator('en', { numeric: true });
  const parts = ['', 'a', 'B', '-', '0', '007', '12', '9'.repeat(15), '1'.repeat(20), '\n'];
  const names = parts.flatMap((first) =>
    parts.flatMap((second) => parts.map((third) => first + second + third)),
  );
  const keys = names.map(naturalKey);
  const wrong: string[] = [];
  for (const a of keys) {
    for (const b of keys) {
      const [here, there] = [Math.sign(compareNaturally(a, b)), Math.sign(compare(a.name, b.name))];
      if (here !== there) wrong.push(`${a.name} ${b.name}: ${here} ${there}`);
    }
  }
  expect(wrong.slice(0, 5)).toEqual([]);
});

test('of names that differ in their number alone, the collator is not asked', () => {
  const [a, b] = [naturalKey('device-77'), naturalKey('device-770')];
  expect(compareNaturally({ ...a, name: 'z' }, { ...b, name: 'a' })).toBeLessThan(0);
});
