/** Messages and bytes for tests. */
import { bytesOfHex } from './hex.ts';
import type { Message } from './message.ts';

export function hex(text: string): Uint8Array {
  const bytes = bytesOfHex(text);
  if (bytes === undefined) throw new Error(`not hex: ${text}`);
  return bytes;
}

export function message(payload: string | Uint8Array, other: Partial<Message> = {}): Message {
  const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const fixed = { seq: 1, topic: 't', retain: false, qos: 0, at: 0, properties: {} } as const;
  return { ...fixed, payload: bytes, bytes: bytes.length, ...other };
}
