import { expect, test } from 'vitest';

import { decodeNow, guess } from './decode.ts';
import { hex, message } from './testing.ts';
import { decodeWire } from './wire.ts';
import { formatValue } from './value.ts';

function shown(digits: string): unknown {
  return JSON.parse(formatValue(decodeWire(hex(digits))));
}

test.each([
  ['a number', '089601', { '1: varint': 150 }],
  ['a number below zero', '08ffffffffffffffffff01', { '1: varint': -1 }],
  ['a text', '120774657374696e67', { '2: text': 'testing' }],
  ['a text with lines', '1203610a62', { '2: text': 'a\nb' }],
  ['a message within', '1a03089601', { '3: message': { '1: varint': 150 } }],
  ['a float', '0d0000c03f', { '1: fixed32': { float: 1.5, uint32: 1_069_547_520 } }],
  ['a double', '11000000000000f83f', { '2: fixed64': { float: 1.5, uint64: 4609434218613702656 } }],
  ['a repeated field', '080108020803', { '1: varint': [1, 2, 3] }],
  ['nothing', '', {}],
])('%s', (_, digits, expected) => {
  expect(shown(digits)).toEqual(expected);
});

test('what is neither text nor message stays bytes', () => {
  expect(formatValue(decodeWire(hex('1202ff00')))).toBe('{\n  "2: bytes": h\'ff00\'\n}');
});

test.each([
  ['half a number', '0896'],
  ['a length beyond the end', '1207ff'],
  ['field 0', '0001'],
  ['an unknown kind', '0f'],
])('%s is refused', (_, digits) => {
  expect(decodeNow('protobuf', message(hex(digits)))).toMatchObject({ kind: 'problem' });
});

test('messages within messages end at some depth', () => {
  let bytes = hex('0801');
  while (bytes.length < 120) bytes = Uint8Array.from([0x0a, bytes.length, ...bytes]);
  expect(decodeNow('protobuf', message(bytes))).toMatchObject({ kind: 'text' });
});

test.each(['application/protobuf', 'application/x-protobuf; proto=a.B', 'application/vnd.google.protobuf'])(
  'is found by the Content Type %s, and never guessed without',
  (contentType) => {
    expect(guess(message(hex('089601'), { properties: { contentType } }))).toBe('protobuf');
    expect(guess(message(hex('089601')))).toBe('hex');
  },
);
