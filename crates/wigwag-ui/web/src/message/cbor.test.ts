import { describe, expect, test } from 'vitest';

import { decodeCbor } from './cbor.ts';
import { hex } from './testing.ts';
import type { Value } from './value.ts';
import { formatValue, Tagged } from './value.ts';

/** From appendix A of RFC 8949. */
describe('the examples of the standard', () => {
  test.each<[encoded: string, value: Value]>([
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['1903e8', 1000],
    ['1a000f4240', 1_000_000],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['1bffffffffffffffff', 18446744073709551615n],
    ['c249010000000000000000', 18446744073709551616n],
    ['3bffffffffffffffff', -18446744073709551616n],
    ['c349010000000000000000', -18446744073709551617n],
    ['20', -1],
    ['3903e7', -1000],
    ['f90000', 0],
    ['f98000', -0],
    ['f93c00', 1],
    ['fb3ff199999999999a', 1.1],
    ['f93e00', 1.5],
    ['f97bff', 65504],
    ['fa47c35000', 100_000],
    ['fa7f7fffff', 3.4028234663852886e38],
    ['fb7e37e43c8800759c', 1e300],
    ['f90001', 5.960464477539063e-8],
    ['f90400', 0.00006103515625],
    ['f9c400', -4],
    ['fbc010666666666666', -4.1],
    ['f97c00', Infinity],
    ['f97e00', NaN],
    ['f9fc00', -Infinity],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['f7', undefined],
    ['f0', new Tagged('simple', 16)],
    ['f8ff', new Tagged('simple', 255)],
    ['c11a514b67b0', new Tagged('1', 1363896240)],
    ['d74401020304', new Tagged('23', Uint8Array.of(1, 2, 3, 4))],
    ['40', new Uint8Array(0)],
    ['4401020304', Uint8Array.of(1, 2, 3, 4)],
    ['60', ''],
    ['62c3bc', 'ü'],
    ['64f0908591', '𐅑'],
    ['80', []],
    ['8301820203820405', [1, [2, 3], [4, 5]]],
    ['a0', new Map()],
    [
      'a201020304',
      new Map([
        [1, 2],
        [3, 4],
      ]),
    ],
    ['a26161016162820203', new Map<Value, Value>([['a', 1], ['b', [2, 3]]])], // prettier-ignore
    ['5f42010243030405ff', Uint8Array.of(1, 2, 3, 4, 5)],
    ['7f657374726561646d696e67ff', 'streaming'],
    ['9fff', []],
    ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
    ['bf61610161629f0203ffff', new Map<Value, Value>([['a', 1], ['b', [2, 3]]])], // prettier-ignore
    ['d9d9f700', 0],
  ])('%s', (encoded, value) => {
    expect(decodeCbor(hex(encoded))).toEqual(value);
  });
});

test('what another encoder writes is read', () => {
  const value = decodeCbor(
    hex(
      'a66b74656d7065726174757265fb4035800000000000626f6ef5646e616d65645a6fc3ab6369647385012119012c1a00011170' +
        '3b000000012a05f1ff646e6f6e65f6637261774200ff',
    ),
  );
  expect(formatValue(value)).toBe(`{
  "temperature": 21.5,
  "on": true,
  "name": "Zoë",
  "ids": [
    1,
    -2,
    300,
    70000,
    -5000000000
  ],
  "none": null,
  "raw": h'00ff'
}`);
});

describe('what is not CBOR is refused, with the place', () => {
  test.each([
    ['', 'it ends in the middle of a value, at byte 0'],
    ['1901', 'it ends in the middle of a value, at byte 1'],
    ['5bffffffffffffffff', 'it ends in the middle of a value, at byte 9'],
    ['9bffffffffffffffff00', 'it ends in the middle of a value, at byte 10'],
    ['0000', '1 bytes are left over after byte 1'],
    ['1c', 'byte 0 begins no value'],
    ['ff', 'byte 0 begins no value'],
    ['61ff', 'the text at byte 1 is not UTF-8'],
    ['7f4101ff', 'byte 1 begins no part of the string around it'],
    ['81'.repeat(100) + '00', 'it is nested deeper than 64 levels'],
  ])('%s', (encoded, problem) => {
    expect(() => decodeCbor(hex(encoded))).toThrow(problem);
  });
});
