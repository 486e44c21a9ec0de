import { expect, test } from 'vitest';

import { DEPTH_MAX, FIELDS_MAX, fieldsOf } from './json-fields.ts';

function fields(text: string) {
  return fieldsOf(JSON.parse(text) as Record<string, unknown>);
}

test('every value has its path', () => {
  const text = '{"temperature":37.5,"battery":{"voltage":3.7,"low":false},"levels":[1,null],"note":"x"}';
  expect(fields(text)).toEqual({
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
  const { fields: kept, beyond } = fields(JSON.stringify(many));
  expect(kept).toHaveLength(FIELDS_MAX);
  expect(beyond).toBe(5);
});

test('what is nested too deeply is counted, however deep it goes', () => {
  const depth = 1_000;
  expect(fields('{"a":'.repeat(depth) + '1' + '}'.repeat(depth))).toEqual({ fields: [], beyond: 1 });
  const last = '{"a":'.repeat(DEPTH_MAX) + '1' + '}'.repeat(DEPTH_MAX);
  expect(fields(last).fields).toEqual([{ path: 'a.a.a.a', value: 1 }]);
});
