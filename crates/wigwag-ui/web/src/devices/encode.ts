/** From the value that somebody chose to the payload that goes out. Pure. */
import { encodeCommand } from '../message/sparkplug-command.ts';
import type { Control, FieldValue, TextEncoding } from './model.ts';

export function payloadOf(
  { encoding }: Pick<Control, 'encoding'>,
  value: FieldValue,
  now: number = Date.now(),
): string | Uint8Array {
  return encoding.as === 'text' ? written(encoding, value) : encodeCommand({ ...encoding, value, now });
}

/** The same for people to read. */
export function payloadText({ encoding }: Pick<Control, 'encoding'>, value: FieldValue): string {
  if (encoding.as === 'text') return written(encoding, value);
  return `Sparkplug B: ${encoding.metric} = ${String(value)} (${encoding.type})`;
}

function written({ before, after, words }: TextEncoding, value: FieldValue): string {
  return before + (words?.find(([of]) => of === value)?.[1] ?? String(value)) + after;
}
