import { expect, test } from 'vitest';

import { aliasesOf, birthTopic, decodeSparkplug, isSparkplugTopic, sparkplugValue } from './sparkplug.ts';
import { hex } from './testing.ts';
import { formatValue } from './value.ts';

/** Both encoded by Google's library for Python. */
const BIRTH = hex(
  '088899a6e5b73312270a0b54656d7065726174757265100720094a0f0a04756e69741207080c4203c2b043656666aa4112120a064f66' +
    '667365741008200350fbffffff0f12140a05546f74616c200858ffffffffffffffffff0112140a05436f756e74200458f7ffffffff' +
    'ffffffff0112080a024f6e200b7001120e0a044e616d65200c7a045a6fc3ab120a0a04476f6e65200a380112100a0553696e636520' +
    '0d588899a6e5b73312120a05466c61677320208201060a000000a04012110a05576f7264732021820105610062630012110a064c65' +
    '76656c732017820104feff2c0112240a055461626c6520108a011808021202696412026f6e1805180b22080a0208040a022800122c' +
    '0a054d6f746f722013920120120a0a0352504d200750dc0b1a0b0a05706f6c65731003180422056d6f746f721803',
);
const DATA = hex('088899a6e5b733120910072009653333ab411204100950011804');

test('a birth certificate is read, with every kind of value', () => {
  const { timestamp, seq, metrics } = decodeSparkplug(BIRTH);
  expect([timestamp, seq]).toEqual([1767323045000, 3]);
  expect(
    metrics.map(({ name, type, value }) => [name, type, formatValue(value).replace(/\s+/g, ' ')]),
  ).toEqual([
    ['Temperature', 'Float', '21.3'],
    ['Offset', 'Int32', '-5'],
    ['Total', 'UInt64', '18446744073709551615'],
    ['Count', 'Int64', '-9'],
    ['On', 'Boolean', 'true'],
    ['Name', 'String', '"Zoë"'],
    ['Gone', 'Double', 'null'],
    ['Since', 'DateTime', '"2026-01-02T03:04:05.000Z"'],
    ['Flags', 'BooleanArray', '[ true, false, true, false, false, false, false, false, false, true ]'],
    ['Words', 'StringArray', '[ "a", "bc" ]'],
    ['Levels', 'Int16Array', '[ -2, 300 ]'],
    ['Table', 'DataSet', '[ { "id": 4, "on": false } ]'],
    [
      'Motor',
      'Template',
      '{ "template": "motor", "parameters": { "poles": 4 }, "metrics": { "RPM": { "type": "UInt32", "value": 1500 } } }',
    ],
  ]);
  expect(metrics[0]?.properties).toEqual(new Map([['unit', '°C']]));
});

test('aliases get the names of the birth certificate, and those it does not know keep their number', () => {
  const names = aliasesOf(decodeSparkplug(BIRTH));
  const shown = sparkplugValue(decodeSparkplug(DATA), names).get('metrics');
  expect(shown).toEqual(
    new Map([
      ['Temperature', new Map<unknown, unknown>([['type', 'Float'], ['value', 21.4], ['alias', 7]])], // prettier-ignore
      ['alias 9', new Map([['value', 1], ['alias', 9]] as const)], // prettier-ignore
    ]),
  );
});

test('metrics of one name are all shown', () => {
  const twice = sparkplugValue({ metrics: [{ name: 'a', value: 1 }, { name: 'a', value: 2 }] }).get('metrics'); // prettier-ignore
  expect(twice instanceof Map && [...twice.keys()]).toEqual(['a', 'a (2)']);
});

test.each([
  ['spBv1.0/plant/NDATA/edge', 'spBv1.0/plant/NBIRTH/edge'],
  ['spBv1.0/plant/DCMD/edge/pump', 'spBv1.0/plant/DBIRTH/edge/pump'],
  ['spBv1.0/plant/NBIRTH/edge', 'spBv1.0/plant/NBIRTH/edge'],
])('%s belongs to %s', (topic, birth) => {
  expect(birthTopic(topic)).toBe(birth);
});

test.each(['spBv1.0/STATE/host', 'spBv1.0/plant/DATA/edge', 'x/spBv1.0/plant/NDATA/edge'])(
  '%s is none of Sparkplug',
  (topic) => {
    expect(isSparkplugTopic(topic)).toBe(false);
    expect(birthTopic(topic)).toBeUndefined();
  },
);

test.each([
  ['7b', 'the field at byte 0 is of an unknown kind'],
  ['0800ff', 'it ends in the middle of a value, at byte 3'],
  ['0a00', 'field 1 is not what Sparkplug B has there'],
  ['ffffffffffffffffffffff', 'the number at byte 0 does not end'],
])('%s is refused', (encoded, problem) => {
  expect(() => decodeSparkplug(hex(encoded))).toThrow(problem);
});
