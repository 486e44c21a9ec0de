/** From the value that somebody chose to the payload that goes out. Pure. */
import type { Control, FieldValue } from './model.ts';

export function payloadOf({ encoding }: Pick<Control, 'encoding'>, value: FieldValue): string {
  const word = encoding.words?.find(([of]) => of === value)?.[1] ?? String(value);
  return encoding.before + word + encoding.after;
}
