import { expect, test } from 'vitest';

import { noiseOf, textOf, textWithUnit } from './field-text.ts';
import type { FieldValue } from './model.ts';

const WORDS = { on: 'open', off: 'closed' };

test.each<[FieldValue | undefined, string | undefined, string]>([
  [21.04, '°C', '21.0 °C'],
  [21.04, '%', '21.04 %'],
  [undefined, '°C', '–'],
  [null, '°C', '–'],
  [true, undefined, 'true'],
  ['on', undefined, 'on'],
])('%j with %s reads %s', (value, unit, text) => {
  expect(textWithUnit({ value, unit })).toBe(text);
});

test('truth has words of its own where the device gives them', () => {
  expect(textOf({ value: true, unit: undefined, words: WORDS })).toBe('open');
  expect(textOf({ value: false, unit: undefined, words: WORDS })).toBe('closed');
  expect(textOf({ value: 'jammed', unit: undefined, words: WORDS })).toBe('jammed');
});

test('a stranger is quoted only briefly', () => {
  expect(textOf({ value: 'x'.repeat(9_999), unit: undefined })).toHaveLength(160);
});

test('noise is two degrees, or a fiftieth of other values', () => {
  expect([noiseOf(500, '°C'), noiseOf(500, 'W'), noiseOf(null, 'W'), noiseOf('x', undefined)]).toEqual([
    2, 10, 0, 0,
  ]);
});
