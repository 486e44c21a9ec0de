/** The same bytes as numbers of every width, both ways round: for payloads that are a bare sensor reading or a row of them. */
import type { Value, ValueMap } from './value.ts';

type Read = (view: DataView, at: number, isLittleEndian: boolean) => number | bigint;

const FORMATS: readonly [name: string, width: number, read: Read][] = [
  ['uint8', 1, (view, at) => view.getUint8(at)],
  ['int8', 1, (view, at) => view.getInt8(at)],
  ['uint16', 2, (view, at, little) => view.getUint16(at, little)],
  ['int16', 2, (view, at, little) => view.getInt16(at, little)],
  ['uint32', 4, (view, at, little) => view.getUint32(at, little)],
  ['int32', 4, (view, at, little) => view.getInt32(at, little)],
  ['float32', 4, (view, at, little) => view.getFloat32(at, little)],
  ['uint64', 8, (view, at, little) => view.getBigUint64(at, little)],
  ['int64', 8, (view, at, little) => view.getBigInt64(at, little)],
  ['float64', 8, (view, at, little) => view.getFloat64(at, little)],
];

/** More of them are a table, and no reading. */
export const NUMBERS_MAX = 64;

/** A number by format, or a row of them; only formats that fit the length. */
export function numbersOf(bytes: Uint8Array): ValueMap {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const numbers: ValueMap = new Map();
  for (const [name, width, read] of FORMATS) {
    if (bytes.length === 0 || bytes.length % width !== 0) continue;
    const all = (isLittleEndian: boolean): Value => {
      const count = Math.min(bytes.length / width, NUMBERS_MAX);
      const values = Array.from({ length: count }, (_, index) => read(view, index * width, isLittleEndian));
      return values.length === 1 ? values[0] : values;
    };
    if (width === 1) {
      numbers.set(name, all(false));
    } else {
      numbers.set(`${name} little-endian`, all(true));
      numbers.set(`${name} big-endian`, all(false));
    }
  }
  return numbers;
}
