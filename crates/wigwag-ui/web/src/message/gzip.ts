/** Unpacks gzip with the browser's own means, up to a bound: a few bytes may unpack to gigabytes. */
import { DecodeError } from './value.ts';

export const UNPACKED_BYTES_MAX = 1024 * 1024;

export interface Unpacked {
  bytes: Uint8Array;
  /** There is more than {@link UNPACKED_BYTES_MAX}. */
  isCut: boolean;
}

export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8;
}

export async function gunzip(packed: Uint8Array): Promise<Unpacked> {
  const stream = new Blob([new Uint8Array(packed)]).stream().pipeThrough(new DecompressionStream('gzip'));
  const reader = stream.getReader();
  const bytes = new Uint8Array(UNPACKED_BYTES_MAX);
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { bytes: bytes.slice(0, length), isCut: false };
      const room = value.subarray(0, bytes.length - length);
      bytes.set(room, length);
      length += room.length;
      if (room.length < value.length) {
        await reader.cancel();
        return { bytes, isCut: true };
      }
    }
  } catch {
    throw new DecodeError('it is damaged or incomplete');
  }
}
