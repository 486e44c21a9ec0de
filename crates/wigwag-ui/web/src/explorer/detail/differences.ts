/** What differs between two readings, line by line, as far as that is worth the time. Pure. */
import { diffLines } from 'diff';

export interface DiffLine {
  kind: 'same' | 'added' | 'removed';
  text: string;
}

export interface Differences {
  lines: DiffLine[];
  added: number;
  removed: number;
  /** Lines that are not among `lines`. */
  beyond: number;
}

export const LINES_MAX = 2_000;
/** Comparing takes longer the more differs; what differs that much is easier seen side by side. */
const COMPARE_WITHIN_MS = 100;

/** Nothing when too much differs. */
export function differences(before: string, after: string): Differences | undefined {
  const parts = diffLines(ended(before), ended(after), { timeout: COMPARE_WITHIN_MS });
  if (parts === undefined) return undefined;
  const result: Differences = { lines: [], added: 0, removed: 0, beyond: 0 };
  for (const part of parts) {
    const kind = part.added ? 'added' : part.removed ? 'removed' : 'same';
    if (kind !== 'same') result[kind] += part.count;
    for (const text of part.value.split('\n').slice(0, -1)) {
      if (result.lines.length < LINES_MAX) result.lines.push({ kind, text });
      else result.beyond += 1;
    }
  }
  return result;
}

/** A last line that does not end would differ from the same line in the middle. */
function ended(text: string): string {
  return text.endsWith('\n') || text === '' ? text : `${text}\n`;
}
