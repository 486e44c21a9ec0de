import { expect, test } from 'vitest';

import { DEPTH_MAX, FIELDS_MAX, fieldsOf, unitOf } from './fields.ts';

test('every value has its path', () => {
  const text = '{"temperature":37.5,"battery":{"voltage":3.7,"low":false},"levels":[1,null],"note":"x"}';
  expect(fieldsOf(text)).toEqual({
    fields: [
      { path: 'temperature', value: 37.5 },
      { path: 'battery.voltage', value: 3.7 },
      { path: 'battery.low', value: false },
      { path: 'levels[0]', value: 1 },
      { path: 'levels[1]', value: null },
      { path: 'note', value: 'x' },
    ],
    beyond: 0,
  });
});

test('too many values are counted, not shown', () => {
  const many = Object.fromEntries(Array.from({ length: FIELDS_MAX + 5 }, (_, index) => [`f${index}`, index]));
  const { fields, beyond } = fieldsOf(JSON.stringify(many));
  expect(fields).toHaveLength(FIELDS_MAX);
  expect(beyond).toBe(5);
});

test('what is nested too deeply is counted, however deep it goes', () => {
  const depth = 1_000;
  expect(fieldsOf('{"a":'.repeat(depth) + '1' + '}'.repeat(depth))).toEqual({ fields: [], beyond: 1 });
  const last = '{"a":'.repeat(DEPTH_MAX) + '1' + '}'.repeat(DEPTH_MAX);
  expect(fieldsOf(last).fields).toEqual([{ path: 'a.a.a.a', value: 1 }]);
});

test.each(['', 'x', '1', '"text"', 'null'])('%s has no fields', (text) => {
  expect(fieldsOf(text)).toEqual({ fields: [], beyond: 0 });
});

test('only what the contract names has a unit', () => {
  expect(unitOf('temperature')).toBe('°C');
  expect(unitOf('constructor')).toBeUndefined();
});
