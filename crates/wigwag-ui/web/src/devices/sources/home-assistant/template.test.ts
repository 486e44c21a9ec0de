import { describe, expect, test } from 'vitest';

import { Payload, read, readingOf, surroundings } from './template.ts';

const PAYLOAD = new Payload('{"a":{"b":21.456,"c d":[1,{"on":true}]},"n":null,"__proto__":{"x":1}}');

test.each([
  ['{{ value_json.a.b }}', 21.456],
  ['{{value_json.a.b|round(1)}}', 21.5],
  ['{{ value_json.a.b | float | round }}', 21],
  ["{{ value_json['a']['c d'][1].on }}", true],
  ['{{ value_json["a"].b | is_defined }}', 21.456],
  ['{{- value_json.n -}}', null],
  ['{{ value_json.a["c d"] }}', '[1,{"on":true}]'],
  ['{{ value_json.missing.b }}', undefined],
  ['{{ value_json.constructor }}', undefined],
  ['{{ value_json.a.toString }}', undefined],
])('%s is read', (template, expected) => {
  expect(readingOf(template).doubt).toBeUndefined();
  expect(read(readingOf(template), PAYLOAD)).toEqual(expected);
});

test.each([undefined, '', '{{ value }}', '{{value|float}}', null])('%s is the payload itself', (template) => {
  expect(readingOf(template).doubt).toBeUndefined();
  expect(read(readingOf(template), new Payload('21.5'))).toBe('21.5');
});

test.each([
  '{{ value_json.a + 1 }}',
  "{{ 'ON' if value_json.on else 'OFF' }}",
  '{% if value %}1{% endif %}',
  '{{ value_json.a | timestamp_local }}',
  '{{ value.a }}',
  '{{ value_json.a }} °C',
  7,
  `{{ value_json${'.a'.repeat(1_000)} }}`,
])('%s is beyond the page, which says so and shows the payload', (template) => {
  expect(readingOf(template).doubt).toMatch(/template/);
  expect(read(readingOf(template), new Payload('raw'))).toBe('raw');
});

test('a payload that is no JSON has nothing at any place', () => {
  expect(read(readingOf('{{ value_json.a }}'), new Payload('{'))).toBeUndefined();
});

test('templates that are meant to take long do not', () => {
  const began = performance.now();
  for (const part of ['[0]', '.a', ' ', '|', '| int']) readingOf(`{{ value_json${part.repeat(150)}`);
  expect(performance.now() - began).toBeLessThan(500);
});

describe('a payload to send', () => {
  test.each([
    [undefined, { before: '', after: '' }],
    ['{{ value }}', { before: '', after: '' }],
    ['{"brightness": {{ value | int }}}', { before: '{"brightness": ', after: '}' }],
  ])('of %s is a value within a text', (template, expected) => {
    expect(surroundings(template)).toEqual(expected);
  });

  test.each(['{{ value }}{{ value }}', 'ON', '{{ value * 2 }}', '{% if value %}{{ value }}{% endif %}', 3])(
    'of %s is not for us to make',
    (template) => {
      expect(surroundings(template)).toBeUndefined();
    },
  );
});
