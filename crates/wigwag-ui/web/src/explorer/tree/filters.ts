/** Topic Filters as users type them: what is wrong with one, and which of several say the same twice. */

const FILTER_BYTES_MAX = 65_535;

/** Why it is not a Topic Filter; nothing if it is one. */
export function filterProblem(filter: string): string | undefined {
  if (filter === '') return 'A Topic Filter has at least one character.';
  if (new TextEncoder().encode(filter).length > FILTER_BYTES_MAX) {
    return `A Topic Filter has at most ${FILTER_BYTES_MAX} bytes.`;
  }
  if (filter.includes('\0')) return 'A Topic Filter has no null characters.';
  const levels = filter.split('/');
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index < levels.length - 1)) {
      return '# stands for all that follows: it is a level of its own, and the last one.';
    }
    if (level.includes('+') && level !== '+') return '+ stands for one level, and is a level of its own.';
  }
  return undefined;
}

/** Whatever the second takes, the first takes as well. */
export function covers(wide: string, narrow: string): boolean {
  if (wide === narrow) return true;
  if (narrow.startsWith('$') && !wide.startsWith('$')) return false;
  const levels = narrow.split('/');
  for (const [index, level] of wide.split('/').entries()) {
    if (level === '#') return true;
    const other = levels[index];
    if (other === undefined || other === '#') return false;
    if (level !== '+' && level !== other) return false;
  }
  return wide.split('/').length === levels.length;
}

/**
 * One more filter, in the place of those that it covers: brokers may send a message once for each subscription that it
 * is for, and then it would be counted more than once.
 */
export function withFilter(filters: readonly string[], filter: string): string[] {
  if (filters.some((other) => covers(other, filter))) return [...filters];
  return [...filters.filter((other) => !covers(filter, other)), filter];
}
