/** Reads bytes from the front, and says where they end when there are not enough. Knows no format. */
import { DecodeError } from './value.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8));
  }

  f32(isLittleEndian = false): number {
    return this.#view.getFloat32(this.#take(4), isLittleEndian);
  }

  f64(isLittleEndian = false): number {
    return this.#view.getFloat64(this.#take(8), isLittleEndian);
  }

  /** A copy. */
  bytes(length: number): Uint8Array {
    const from = this.#take(length);
    return this.#bytes.slice(from, from + length);
  }

  text(length: number): string {
    const from = this.#take(length);
    try {
      return utf8.decode(this.#bytes.subarray(from, from + length));
    } catch {
      throw new DecodeError(`the text at byte ${from} is not UTF-8`);
    }
  }

  /** For formats in which a payload is one value. */
  expectEnd(): void {
    const rest = this.#bytes.length - this.#at;
    if (rest > 0) throw new DecodeError(`${rest} bytes are left over after byte ${this.#at}`);
  }

  #take(length: number): number {
    const from = this.#at;
    if (length > this.#bytes.length - from)
      throw new DecodeError(`it ends in the middle of a value, at byte ${from}`);
    this.#at += length;
    return from;
  }
}

/** A number where that is exact. */
export function integer(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
