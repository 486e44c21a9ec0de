/** CBOR (RFC 8949) as values: definite and indefinite lengths, floats of all widths, tags kept but for big numbers. */
import { ByteReader, integer } from './byte-reader.ts';
import type { Value, ValueMap } from './value.ts';
import { DecodeError, DEPTH_MAX, Tagged, tooDeep } from './value.ts';

/** Major types, the upper three bits of a first byte. */
const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;

const INDEFINITE = 31;
const BREAK = 0xff;
const BIGNUM = 2n;
const NEGATIVE_BIGNUM = 3n;
/** Longer ones stay bytes: nobody reads their digits, which take a long time to find. */
const BIGNUM_BYTES_MAX = 256;
/** Says only that this is CBOR. */
const SELF_DESCRIBED = 55799n;

export function decodeCbor(bytes: Uint8Array): Value {
  const reader = new ByteReader(bytes);
  const value = readItem(reader, 0);
  reader.expectEnd();
  return value;
}

function readItem(reader: ByteReader, depth: number): Value {
  if (depth > DEPTH_MAX) throw tooDeep();
  const at = reader.offset;
  const first = reader.u8();
  const major = first >> 5;
  const info = first & 31;
  switch (major) {
    case UNSIGNED:
      return integer(argument(reader, info, at));
    case NEGATIVE:
      return integer(-1n - argument(reader, info, at));
    case BYTES:
      return info === INDEFINITE ? joined(chunks(reader, BYTES)) : reader.bytes(length(reader, info, at));
    case TEXT:
      return info === INDEFINITE ? textOf(reader) : reader.text(length(reader, info, at));
    case ARRAY:
      return readArray(reader, info, at, depth);
    case MAP:
      return readMap(reader, info, at, depth);
    case TAG:
      return tagged(argument(reader, info, at), readItem(reader, depth + 1));
    default:
      return readSimple(reader, info, at);
  }
}

function argument(reader: ByteReader, info: number, at: number): bigint {
  switch (info) {
    case 24:
      return BigInt(reader.u8());
    case 25:
      return BigInt(reader.u16());
    case 26:
      return BigInt(reader.u32());
    case 27:
      return reader.u64();
    default:
      if (info < 24) return BigInt(info);
      throw new DecodeError(`byte ${at} begins no value`);
  }
}

/** Larger than any payload is as good as too long. */
function length(reader: ByteReader, info: number, at: number): number {
  return Number(argument(reader, info, at));
}

function readArray(reader: ByteReader, info: number, at: number, depth: number): Value[] {
  const items: Value[] = [];
  const count = info === INDEFINITE ? Infinity : length(reader, info, at);
  while (items.length < count && !ends(reader, info)) items.push(readItem(reader, depth + 1));
  return items;
}

function readMap(reader: ByteReader, info: number, at: number, depth: number): ValueMap {
  const map: ValueMap = new Map();
  const count = info === INDEFINITE ? Infinity : length(reader, info, at);
  for (let index = 0; index < count && !ends(reader, info); index++) {
    const key = readItem(reader, depth + 1);
    map.set(key, readItem(reader, depth + 1));
  }
  return map;
}

function ends(reader: ByteReader, info: number): boolean {
  if (info !== INDEFINITE || reader.peek() !== BREAK) return false;
  reader.u8();
  return true;
}

/** The parts of a string whose length was not known when it began. */
function chunks(reader: ByteReader, major: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  while (!ends(reader, INDEFINITE)) {
    const at = reader.offset;
    const first = reader.u8();
    if (first >> 5 !== major) throw new DecodeError(`byte ${at} begins no part of the string around it`);
    parts.push(reader.bytes(length(reader, first & 31, at)));
  }
  return parts;
}

function joined(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function textOf(reader: ByteReader): string {
  const bytes = joined(chunks(reader, TEXT));
  return new ByteReader(bytes).text(bytes.length);
}

function tagged(tag: bigint, value: Value): Value {
  if (tag === SELF_DESCRIBED) return value;
  const isBignum = tag === BIGNUM || tag === NEGATIVE_BIGNUM;
  if (isBignum && value instanceof Uint8Array && value.length <= BIGNUM_BYTES_MAX) {
    const magnitude = value.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    return tag === BIGNUM ? magnitude : -1n - magnitude;
  }
  return new Tagged(String(tag), value);
}

function readSimple(reader: ByteReader, info: number, at: number): Value {
  switch (info) {
    case 20:
      return false;
    case 21:
      return true;
    case 22:
      return null;
    case 23:
      return undefined;
    case 25:
      return half(reader.u16());
    case 26:
      return reader.f32();
    case 27:
      return reader.f64();
    default: {
      const code = info === 24 ? reader.u8() : info;
      if (code > 24 && code < 32) throw new DecodeError(`byte ${at} begins no value`);
      return new Tagged('simple', code);
    }
  }
}

/** A float of 16 bits. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
