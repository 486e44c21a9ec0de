import { describe, expect, test } from 'vitest';

import { payloadOf } from '../../encode.ts';
import type { FieldValue } from '../../model.ts';
import { commandOf, Payload, read, readingOf } from './template.ts';

const PAYLOAD = new Payload(
  '{"a":{"b":21.456,"c d":[1,{"on":true}]},"n":null,"s":"heat","off":false,"__proto__":{"x":1}}',
);

function valueOf(template: string, payload = PAYLOAD): FieldValue | undefined {
  expect(readingOf(template).doubt).toBeUndefined();
  return read(readingOf(template), payload);
}

describe('a place in the JSON', () => {
  test.each([
    ['{{ value_json.a.b }}', 21.456],
    ['{{value_json.a.b|round(1)}}', 21.5],
    ['{{ value_json.a.b | float | round }}', 21],
    ["{{ value_json['a']['c d'][1].on }}", true],
    ['{{ value_json["a"].b | is_defined }}', 21.456],
    ['{{- value_json.n -}}', null],
    ['{{ value_json.a["c d"] }}', '[1,{"on":true}]'],
    ['{{ value_json.missing }}', undefined],
    ['{{ value_json.missing | is_defined }}', undefined],
    ['{{ value_json.missing.b }}', undefined],
    ['{{ value_json.constructor }}', undefined],
    ['{{ value_json.a.toString }}', undefined],
    ['{{ value_json.__proto__.x }}', 1],
  ])('%s is read', (template, expected) => {
    expect(valueOf(template)).toEqual(expected);
  });

  test('is nowhere in a payload that is no JSON', () => {
    expect(valueOf('{{ value_json.a }}', new Payload('{'))).toBeUndefined();
  });
});

test.each([undefined, '', '{{ value }}', null])('%s is the payload itself', (template) => {
  expect(readingOf(template).doubt).toBeUndefined();
  expect(read(readingOf(template), new Payload('21.5'))).toBe('21.5');
});

/** In the manner of Zigbee2MQTT, Tasmota, ESPHome and of what people write by hand. */
describe('what devices make of their payloads', () => {
  test.each([
    ['{% if value_json.a.b > 20 %} true {% else %} false {% endif %}', 'true'],
    ["{{ 'ON' if value_json.off else 'OFF' }}", 'OFF'],
    ["{{ iif(value_json.off, 'on', 'off') }}", 'off'],
    ["{% set values = {None:None,'idle':'idle','heat':'heating'} %}{{ values[value_json.s] }}", 'heating'],
    ["{{ {'off':0,'heat':2}[value_json.s] | default('None') }}", 2],
    ["{{ {'off':0}[value_json.s] | default('None') }}", 'None'],
    ["{{ value_json.s if value_json.s in ['auto', 'heat'] else 'None' | default('None') }}", 'heat'],
    ['{% if "run" in value_json and value_json.run %} opening {% else %} stopped {% endif %}', 'stopped'],
    ['{{ (value_json.a.b | float * 9 / 5 + 32) | round(1) }}', 70.6],
    ['{{ value_json.a.b | int // 2 }}', 10],
    ['{{ 7 % 3 - -1 }}', 2],
    ['{{ 1 - 0.4 | round }}', 1],
    ['{{ 2.5 | round }} {{ 3.5 | round(0) }} {{ 0.125 | round(2) }} {{ -2.5 | round }}', '2 4 0.12 -2'],
    ['{{ value_json.a.b }} °C', '21.456 °C'],
    ['{{ value_json.missing | default(0) }}', 0],
    ['{{ value_json.missing.more | default(0) }}', 0],
    ['{{ value_json.n | default(5, true) }}', 5],
    ["{{ value_json.s | float('x') }}", 'x'],
    ['{{ value_json.s | float(default=3) }}', 3],
    ['{{ value_json.missing is defined }}', false],
    ['{{ value_json.n is none }}', true],
    ['{% if value_json.s is equalto "heat" %}home{% else %}not_home{% endif %}', 'home'],
    ["{{ value_json.s | upper ~ '!' }}", 'HEAT!'],
    ["{{ value_json.s.split('e')[0] }}", 'h'],
    ['{{ not value_json.off and value_json.a.b >= 21 }}', true],
    ['{# a note #}{{ value_json.s }}', 'heat'],
    ['{% if value_json.missing is defined %}{{ value_json.missing }}{% endif %}', undefined],
    ['{{ value_json.missing + 1 }}', undefined],
    ['{{ 1 / 0 }}', undefined],
    ['{{ value | float }}', undefined],
    ["{{ '{}}' }}{{ {'a': {'b': 1}}['a']['b'] }}", '{}}1'],
  ])('%s', (template, expected) => {
    expect(valueOf(template)).toEqual(expected);
  });
});

test.each([
  '{{ value_json.a | timestamp_local }}',
  "{{ states('sensor.x') }}",
  '{{ now() }}',
  '{{ value_json.a | round(1, 2, 3, 4, 5) }}',
  '{% for one in value_json.a %}{{ one }}{% endfor %}',
  '{% if value %}1',
  '{% endif %}',
  '{{ value_json.a | }}',
  '{{ value_json.a b }}',
  '{{ (value }}',
  '{{ value',
  '{{ 1 < 2 < 3 }}',
  '{{ value_json | regex_replace("a", "b") }}',
  '{{ constructor }}',
  '{{ value | constructor }}',
  7,
  `{{ value_json${'.a'.repeat(1_000)} }}`,
  `{{ ${'('.repeat(500)}1${')'.repeat(500)} }}`,
  `${'{% if value %}'.repeat(60)}${'{% endif %}'.repeat(60)}`,
  `{{ ${'not '.repeat(100)}value }}`,
])('%s is beyond the page, which says so and shows the payload', (template) => {
  expect(readingOf(template).doubt).toMatch(/template/);
  expect(read(readingOf(template), new Payload('raw'))).toBe('raw');
});

test('a text does not grow without end', () => {
  const doubled = '{% set a = a ~ a %}'.repeat(40);
  expect(valueOf(`{% set a = value %}${doubled}{{ a }}`, new Payload('x'))).toBeUndefined();
});

test('templates that are meant to take long do not', () => {
  const began = performance.now();
  for (const part of ['[0]', '.a', ' ', '|', '| int', '(', '"', '{%', '{{ value }}', '-']) {
    readingOf(`{{ value_json${part.repeat(300)}`);
  }
  expect(performance.now() - began).toBeLessThan(30_000);
});

describe('a payload to send', () => {
  test.each([
    [undefined, 'x'],
    ['{{ value }}', 'x'],
    ['{"brightness": {{ value | int }}}', '{"brightness": x}'],
    ['{ "position": {{ position }} }', '{ "position": x }'],
  ])('of %s is a value within a text, whatever it is', (template, expected) => {
    const encoding = commandOf(template, []);
    expect(encoding).toBeDefined();
    expect(encoding && payloadOf({ encoding }, 'x')).toBe(expected);
  });

  test.each([
    ['{{ (value | float * 100) | round(0) | int }}', 0.5, '50'],
    ["{{ {0:'off', 1:'low'}[value] | default('') }}", 1, 'low'],
    [
      '{% set cmd = {"mode": "raw", "data": [[7, value]]} %} {{ cmd | to_json }}',
      2,
      '{"mode":"raw","data":[[7,2]]}',
    ],
  ])('of %s is made for values that were tried', (template, value, expected) => {
    const encoding = commandOf(template, [value]);
    expect(encoding && payloadOf({ encoding }, value)).toBe(expected);
  });

  test.each(['{{ value }}{{ value }}', 'ON', '{{ value * 2 }}', '{% if value %}{{ value }}{% endif %}', 3])(
    'of %s is not for us to make of whatever is typed',
    (template) => {
      expect(commandOf(template, [])).toBeUndefined();
    },
  );

  test.each(['{{ value * 2 }}', '{{ now() }}', '{{ 1 / 0 }}'])('%s cannot be sent for a word', (template) => {
    expect(commandOf(template, ['on'])).toBeUndefined();
  });
});
