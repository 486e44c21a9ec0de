import { describe, expect, test } from 'vitest';

import { decodeMsgpack } from './msgpack.ts';
import { hex } from './testing.ts';
import type { Value } from './value.ts';
import { formatValue, Tagged } from './value.ts';

describe('every format of the specification', () => {
  test.each<[encoded: string, value: Value]>([
    ['7f', 127],
    ['e0', -32],
    ['ccff', 255],
    ['cdffff', 65535],
    ['ceffffffff', 4294967295],
    ['cf0000000100000000', 4294967296],
    ['cfffffffffffffffff', 18446744073709551615n],
    ['d080', -128],
    ['d18000', -32768],
    ['d280000000', -2147483648],
    ['d38000000000000000', -9223372036854775808n],
    ['ca3fc00000', 1.5],
    ['cb3ff199999999999a', 1.1],
    ['c0', null],
    ['c2', false],
    ['c3', true],
    ['a3616263', 'abc'],
    ['d903616263', 'abc'],
    ['da0003616263', 'abc'],
    ['db00000003616263', 'abc'],
    ['c403010203', Uint8Array.of(1, 2, 3)],
    ['c50001ff', Uint8Array.of(255)],
    ['c600000001ff', Uint8Array.of(255)],
    ['92c0c3', [null, true]],
    ['dc0001c3', [true]],
    ['dd00000001c3', [true]],
    ['81a161c3', new Map([['a', true]])],
    ['de0001a161c3', new Map([['a', true]])],
    ['df00000001a161c3', new Map([['a', true]])],
    ['d405ff', new Tagged('ext 5', Uint8Array.of(255))],
    ['c7020507ff', new Tagged('ext 5', Uint8Array.of(7, 255))],
    ['d6ff695735a5', new Tagged('time', '2026-01-02T03:04:05Z')],
    ['d7ff77359400695735a5', new Tagged('time', '2026-01-02T03:04:05.5Z')],
    ['c70cff1dcd650000000000695735a5', new Tagged('time', '2026-01-02T03:04:05.5Z')],
    ['c70cff00000000ffffffffffffffff', new Tagged('time', '1969-12-31T23:59:59Z')],
  ])('%s', (encoded, value) => {
    expect(decodeMsgpack(hex(encoded))).toEqual(value);
  });
});

test('what another encoder writes is read', () => {
  const value = decodeMsgpack(
    hex(
      '86ab74656d7065726174757265cb4035800000000000a26f6ec3a46e616d65a45a6fc3aba36964739501fecd012cce00011170' +
        'd3fffffffed5fa0e00a46e6f6e65c0a3726177c40200ff',
    ),
  );
  expect(formatValue(value)).toContain('"name": "Zoë"');
  expect(formatValue(value)).toContain("h'00ff'");
  expect(formatValue(value)).toContain('-5000000000');
});

describe('what is not MessagePack is refused, with the place', () => {
  test.each([
    ['', 'it ends in the middle of a value, at byte 0'],
    ['c1', 'byte 0 begins no value'],
    ['ddffffffff00', 'it ends in the middle of a value, at byte 6'],
    ['dfffffffff', 'it ends in the middle of a value, at byte 5'],
    ['c6ffffffff00', 'it ends in the middle of a value, at byte 5'],
    ['0001', '1 bytes are left over after byte 1'],
    ['91'.repeat(100) + '00', 'it is nested deeper than 64 levels'],
  ])('%s', (encoded, problem) => {
    expect(() => decodeMsgpack(hex(encoded))).toThrow(problem);
  });
});
