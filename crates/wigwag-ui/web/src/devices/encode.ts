/** From the value that somebody chose to the payload that goes out. Pure. */
import { encodeCommand } from '../message/sparkplug-command.ts';
import type { Control, FieldValue, TextEncoding } from './model.ts';

/** Undefined for a value that its source can make nothing of. */
export function payloadOf(
  { encoding }: Pick<Control, 'encoding'>,
  value: FieldValue,
  now: number = Date.now(),
): string | Uint8Array | undefined {
  return encoding.as === 'sparkplug'
    ? encodeCommand({ ...encoding, value, now })
    : payloadText({ encoding }, value);
}

/** The same for people to read. */
export function payloadText({ encoding }: Pick<Control, 'encoding'>, value: FieldValue): string | undefined {
  switch (encoding.as) {
    case 'text':
      return written(encoding, value);
    case 'written':
      return encoding.write(value);
    case 'sparkplug':
      return `Sparkplug B: ${encoding.metric} = ${String(value)} (${encoding.type})`;
  }
}

/** Why there is no payload. */
export const UNWRITABLE = 'the template of its commands fails for this value';

function written({ before, after, words }: TextEncoding, value: FieldValue): string {
  return before + (words?.find(([of]) => of === value)?.[1] ?? String(value)) + after;
}
