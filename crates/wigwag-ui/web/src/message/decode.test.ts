import { gzipSync } from 'node:zlib';

import { describe, expect, test } from 'vitest';

import type { DecoderName } from './decode.ts';
import { decode, DECODERS, decodeNow, guess, TEXT_CHARS_MAX } from './decode.ts';
import { UNPACKED_BYTES_MAX } from './gzip.ts';
import { PAYLOAD_BYTES_MAX } from './message.ts';
import { hex, message } from './testing.ts';

const PNG = hex('89504e470d0a1a0a0000000d49484452');
const SPARKPLUG_DATA = hex('088899a6e5b733120910072009653333ab411204100950011804');

async function textOf(name: DecoderName, payload: string | Uint8Array): Promise<string> {
  const decoded = await decode(name, message(payload));
  return decoded.kind === 'text' ? decoded.text : decoded.kind === 'problem' ? decoded.problem : decoded.type;
}

describe('the way to read a message is found', () => {
  test.each<[what: string, payload: string | Uint8Array, found: DecoderName]>([
    ['nothing', '', 'text'],
    ['an object', '{"a":1}', 'json'],
    ['a number', '21.5', 'json'],
    ['words', 'online', 'text'],
    ['several lines', 'a\r\n\tb', 'text'],
    ['what only begins as JSON', '{"a":', 'text'],
    ['colours of a terminal', '\u001b[31mred', 'text'],
    ['bytes of zero in text', 'a\0b', 'hex'],
    ['a map in MessagePack', hex('81a16101'), 'msgpack'],
    ['a map in CBOR', hex('a1616118ff'), 'cbor'],
    ['a float in four bytes', hex('00004841'), 'hex'],
    ['a picture', PNG, 'image'],
    ['gzip', gzipSync('{}'), 'gzip'],
  ])('%s', (_, payload, found) => {
    expect(guess(message(payload))).toBe(found);
  });

  test('by the topic of Sparkplug', () => {
    expect(guess(message(SPARKPLUG_DATA, { topic: 'spBv1.0/g/NDATA/e' }))).toBe('sparkplug');
  });

  test('by the Content Type, if the payload agrees', () => {
    const bytes = hex('0a');
    expect(guess(message(bytes, { properties: { contentType: 'application/cbor' } }))).toBe('cbor');
    expect(guess(message('no', { properties: { contentType: 'application/json' } }))).toBe('text');
  });

  test('although the end of a long text is missing', () => {
    const half = new TextEncoder().encode('grün').subarray(0, 3);
    expect(guess(message(half, { bytes: 100 }))).toBe('text');
  });
});

test('JSON keeps the digits and keys that it was sent with', async () => {
  expect(await textOf('json', '{"id":12345678901234567890,"a":[],"b":{},"a":[1.0,"x, y"]}')).toBe(`{
  "id": 12345678901234567890,
  "a": [],
  "b": {},
  "a": [
    1.0,
    "x, y"
  ]
}`);
});

test('a dump shows place, bytes and characters', async () => {
  expect(await textOf('hex', 'Hello, wide World!\n')).toBe(
    [
      '00000000  48 65 6c 6c 6f 2c 20 77 69 64 65 20 57 6f 72 6c  Hello, wide Worl',
      '00000010  64 21 0a                                         d!.',
    ].join('\n'),
  );
});

test('numbers are read both ways round', async () => {
  const text = await textOf('numbers', hex('0000c03f'));
  expect(text).toContain('"float32 little-endian": 1.5');
  expect(text).toContain('"uint32 big-endian": 49215');
  expect(text).not.toContain('int64');
});

test('Base64 is that of everybody else', async () => {
  expect(await textOf('base64', hex('00ff10'))).toBe('AP8Q');
});

test('a picture is known by its bytes', async () => {
  expect(await textOf('image', PNG)).toBe('image/png');
  expect(await textOf('image', '<svg onload=alert(1)>')).toMatch(/^This payload is not Image/);
});

describe('gzip', () => {
  test('is unpacked, and what is in it read', async () => {
    expect(await decode('gzip', message(gzipSync('{"a":1}')))).toMatchObject({
      kind: 'text',
      text: '{\n  "a": 1\n}',
      note: 'JSON in gzip, 7 bytes unpacked',
    });
  });

  test('that is damaged says so', async () => {
    expect(await textOf('gzip', gzipSync('{"a":1}').subarray(0, 12))).toBe(
      'This payload is not gzip: it is damaged or incomplete.',
    );
  });

  test('of more than the bound is cut', async () => {
    const decoded = await decode('gzip', message(gzipSync('a'.repeat(50 * UNPACKED_BYTES_MAX))));
    expect(decoded).toMatchObject({
      note: 'Text in gzip, 1048576 bytes unpacked; the rest is beyond 1024 KiB',
    });
    expect(decoded.kind === 'text' && decoded.text.length).toBe(TEXT_CHARS_MAX);
  });
});

describe('whatever the payload', () => {
  const hostile: [string, Uint8Array][] = [
    ['deep JSON', new TextEncoder().encode('['.repeat(30_000) + ']'.repeat(30_000))],
    ['a million commas', new TextEncoder().encode(`[${'0,'.repeat(30_000)}0]`)],
    ['names of JavaScript', new TextEncoder().encode('{"__proto__":{"a":1},"constructor":2}')],
    ['zeros', new Uint8Array(PAYLOAD_BYTES_MAX)],
    ['ones', new Uint8Array(PAYLOAD_BYTES_MAX).fill(255)],
    ['arrays without end', new Uint8Array(PAYLOAD_BYTES_MAX).fill(0x9f)],
    [
      'many empty metrics',
      Uint8Array.from({ length: PAYLOAD_BYTES_MAX }, (_, at) => (at % 2 === 0 ? 0x12 : 0)),
    ],
    ['a big number', Uint8Array.from({ length: 60_000 }, (_, at) => [0xc2, 0x59, 0xea, 0x5c][at] ?? 0xff)],
    ['noise', noise(4_096)],
  ];
  const names = Object.keys(DECODERS) as DecoderName[];

  test.each(hostile)('%s: every way to read it ends, within bounds', async (_, payload) => {
    guess(message(payload));
    for (const name of names) {
      const decoded = await decode(name, message(payload));
      if (decoded.kind === 'text') expect(decoded.text.length).toBeLessThanOrEqual(TEXT_CHARS_MAX);
    }
  });
});

test('a payload that was cut is said to be so', () => {
  expect(decodeNow('json', message('{"a":', { bytes: 70_000 }))).toEqual({
    kind: 'problem',
    problem: expect.stringContaining('; only its first 5 bytes are kept.') as string,
  });
});

/** The same every time. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state >> 16;
  });
}
