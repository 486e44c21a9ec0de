import { expect, test } from 'vitest';

import type { Selection } from './selection.ts';
import { extent, NOTHING, pressed, withAll, without } from './selection.ts';

const SHOWN = ['1', '2', '3', '4', '5'];

function ids({ ids }: Selection): string[] {
  return [...ids].sort();
}

test('a press selects one, and another press lets it go', () => {
  const one = pressed(NOTHING, '2', false, SHOWN);
  expect(ids(one)).toEqual(['2']);
  expect(ids(pressed(one, '2', false, SHOWN))).toEqual([]);
});

test('with Shift, all from the last one on do as it does, either way', () => {
  const first = pressed(NOTHING, '4', false, SHOWN);
  expect(ids(pressed(first, '2', true, SHOWN))).toEqual(['2', '3', '4']);
  const all = withAll(NOTHING, SHOWN);
  const less = pressed(pressed(all, '1', false, SHOWN), '3', true, SHOWN);
  expect(ids(less)).toEqual(['4', '5']);
});

test('a range from what is no longer shown is a single press', () => {
  const first = pressed(NOTHING, '9', false, ['9']);
  expect(ids(pressed(first, '2', true, SHOWN))).toEqual(['2', '9']);
});

test('what is selected elsewhere stays when all that are shown are selected, or let go', () => {
  const elsewhere = pressed(NOTHING, '9', false, ['9']);
  const all = withAll(elsewhere, SHOWN);
  expect(ids(all)).toEqual(['1', '2', '3', '4', '5', '9']);
  expect(ids(without(all, SHOWN))).toEqual(['9']);
  expect(without(without(all, SHOWN), ['9'])).toBe(NOTHING);
});

test('the extent is about what is shown', () => {
  expect(extent(NOTHING, SHOWN)).toBe('none');
  expect(extent(pressed(NOTHING, '9', false, ['9']), SHOWN)).toBe('none');
  expect(extent(pressed(NOTHING, '1', false, SHOWN), SHOWN)).toBe('some');
  expect(extent(withAll(NOTHING, SHOWN), SHOWN)).toBe('all');
});
