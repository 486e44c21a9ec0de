/** The wire format of Protocol Buffers: numbered fields of four shapes. What they mean is said by who reads them. */
import { ByteReader } from './byte-reader.ts';
import { DecodeError } from './value.ts';

export type Field = { number: number } & (
  | { wire: 'varint'; value: bigint }
  | { wire: 'fixed32'; bytes: Uint8Array }
  | { wire: 'fixed64'; bytes: Uint8Array }
  | { wire: 'bytes'; bytes: Uint8Array }
);

const VARINT_BYTES_MAX = 10;

export function readFields(bytes: Uint8Array): Field[] {
  const reader = new ByteReader(bytes);
  const fields: Field[] = [];
  while (!reader.isAtEnd) fields.push(readField(reader));
  return fields;
}

function readField(reader: ByteReader): Field {
  const at = reader.offset;
  const key = readVarint(reader);
  const number = Number(key >> 3n);
  if (number === 0) throw new DecodeError(`the field at byte ${at} has number 0`);
  switch (Number(key & 7n)) {
    case 0:
      return { number, wire: 'varint', value: readVarint(reader) };
    case 1:
      return { number, wire: 'fixed64', bytes: reader.bytes(8) };
    case 2:
      return { number, wire: 'bytes', bytes: reader.bytes(Number(readVarint(reader))) };
    case 5:
      return { number, wire: 'fixed32', bytes: reader.bytes(4) };
    default:
      throw new DecodeError(`the field at byte ${at} is of an unknown kind`);
  }
}

function readVarint(reader: ByteReader): bigint {
  const at = reader.offset;
  let value = 0n;
  for (let index = 0; index < VARINT_BYTES_MAX; index++) {
    const byte = reader.u8();
    value |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  throw new DecodeError(`the number at byte ${at} does not end`);
}
