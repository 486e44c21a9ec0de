/** MessagePack as values; times are decoded, other extensions are shown with their number. */
import { ByteReader, integer } from './byte-reader.ts';
import type { Value, ValueMap } from './value.ts';
import { DecodeError, DEPTH_MAX, Tagged, tooDeep } from './value.ts';

const TIMESTAMP = -1;
const NANOS_BITS = 34n;

export function decodeMsgpack(bytes: Uint8Array): Value {
  const reader = new ByteReader(bytes);
  const value = readItem(reader, 0);
  reader.expectEnd();
  return value;
}

function readItem(reader: ByteReader, depth: number): Value {
  if (depth > DEPTH_MAX) throw tooDeep();
  const at = reader.offset;
  const first = reader.u8();
  if (first < 0x80) return first;
  if (first < 0x90) return readMap(reader, first & 15, depth);
  if (first < 0xa0) return readArray(reader, first & 15, depth);
  if (first < 0xc0) return reader.text(first & 31);
  if (first >= 0xe0) return first - 256;
  switch (first) {
    case 0xdc:
      return readArray(reader, reader.u16(), depth);
    case 0xdd:
      return readArray(reader, reader.u32(), depth);
    case 0xde:
      return readMap(reader, reader.u16(), depth);
    case 0xdf:
      return readMap(reader, reader.u32(), depth);
    default:
      return readScalar(reader, first, at);
  }
}

function readScalar(reader: ByteReader, first: number, at: number): Value {
  switch (first) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return reader.bytes(reader.u8());
    case 0xc5:
      return reader.bytes(reader.u16());
    case 0xc6:
      return reader.bytes(reader.u32());
    case 0xc7:
      return readExtension(reader, reader.u8());
    case 0xc8:
      return readExtension(reader, reader.u16());
    case 0xc9:
      return readExtension(reader, reader.u32());
    case 0xca:
      return reader.f32();
    case 0xcb:
      return reader.f64();
    case 0xcc:
      return reader.u8();
    case 0xcd:
      return reader.u16();
    case 0xce:
      return reader.u32();
    case 0xcf:
      return integer(reader.u64());
    case 0xd0:
      return reader.i8();
    case 0xd1:
      return reader.i16();
    case 0xd2:
      return reader.i32();
    case 0xd3:
      return integer(reader.i64());
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return readExtension(reader, 1 << (first - 0xd4));
    case 0xd9:
      return reader.text(reader.u8());
    case 0xda:
      return reader.text(reader.u16());
    case 0xdb:
      return reader.text(reader.u32());
    default:
      throw new DecodeError(`byte ${at} begins no value`);
  }
}

function readArray(reader: ByteReader, count: number, depth: number): Value[] {
  const items: Value[] = [];
  while (items.length < count) items.push(readItem(reader, depth + 1));
  return items;
}

function readMap(reader: ByteReader, count: number, depth: number): ValueMap {
  const map: ValueMap = new Map();
  for (let index = 0; index < count; index++) {
    const key = readItem(reader, depth + 1);
    map.set(key, readItem(reader, depth + 1));
  }
  return map;
}

function readExtension(reader: ByteReader, length: number): Value {
  const type = reader.i8();
  const data = reader.bytes(length);
  const time = type === TIMESTAMP ? timestamp(data) : undefined;
  return time === undefined ? new Tagged(`ext ${type}`, data) : new Tagged('time', time);
}

/** Seconds in 32 bits, nanoseconds and seconds in 64, or 32 bits of nanoseconds before 64 of seconds. */
function timestamp(data: Uint8Array): string | undefined {
  const reader = new ByteReader(data);
  switch (data.length) {
    case 4:
      return isoTime(BigInt(reader.u32()), 0);
    case 8: {
      const both = reader.u64();
      return isoTime(both & ((1n << NANOS_BITS) - 1n), Number(both >> NANOS_BITS));
    }
    case 12: {
      const nanos = reader.u32();
      return isoTime(reader.i64(), nanos);
    }
    default:
      return undefined;
  }
}

/** A calendar ends where numbers do not. */
function isoTime(seconds: bigint, nanos: number): string | undefined {
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return undefined;
  const fraction = nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
  return date.toISOString().replace('.000Z', `${fraction}Z`);
}
