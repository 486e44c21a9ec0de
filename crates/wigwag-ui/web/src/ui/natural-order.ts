/**
 * The order in which people look for names: "2" before "10", whatever the case. The collator that knows it is slow, and
 * thousands of names mostly differ in the number at their end, which needs none.
 */
const collator = new Intl.Collator('en', { numeric: true });

/** A name as it is compared: made once, because it is compared often. */
export interface NaturalKey {
  name: string;
  /** What is before the number at the end; undefined where there is no number. */
  stem: string | undefined;
  number: number;
}

/** At most so many digits are a number without loss. */
const NUMBERED = /^(.*?)(\d{1,15})$/s;

export function naturalKey(name: string): NaturalKey {
  const parts = NUMBERED.exec(name);
  return { name, stem: parts?.[1], number: Number(parts?.[2] ?? 0) };
}

export function compareNaturally(a: NaturalKey, b: NaturalKey): number {
  if (a.stem !== undefined && a.stem === b.stem) return a.number - b.number;
  return collator.compare(a.name, b.name);
}
