/** A payload on one line, for lists: its beginning as text where it is some, as bytes otherwise. */
import type { Message } from './message.ts';
import { hexOf } from './value.ts';

const TEXT_BYTES = 240;
const HEX_BYTES = 24;

export function previewOf({ payload, bytes }: Message): string {
  if (bytes === 0) return '(empty)';
  const text = textOf(payload.subarray(0, TEXT_BYTES), payload.length > TEXT_BYTES || payload.length < bytes);
  if (text !== undefined) return text.replace(/\s+/g, ' ');
  return hexOf(payload.subarray(0, HEX_BYTES)).replace(/(..)(?=.)/g, '$1 ') + (bytes > HEX_BYTES ? ' …' : '');
}

function textOf(bytes: Uint8Array, isCut: boolean): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isCut });
    // Spaces and the like are characters of control too.
    return /[^\P{Cc}\s]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
