/** The spans of time that charts offer, as they stand in the address of the page. Pure. */
import type { Series, Window } from './series.ts';

export const RANGES = [
  { value: '1m', name: '1 min' },
  { value: '5m', name: '5 min' },
  { value: '15m', name: '15 min' },
  { value: '1h', name: '1 h' },
  { value: 'all', name: 'All' },
] as const;

export type Range = (typeof RANGES)[number]['value'];

const DEFAULT: Range = '5m';
const MINUTE_MS = 60_000;
const SPANS_MS: Record<Exclude<Range, 'all'>, number> = {
  '1m': MINUTE_MS,
  '5m': 5 * MINUTE_MS,
  '15m': 15 * MINUTE_MS,
  '1h': 60 * MINUTE_MS,
};

/** Anything may stand in an address. */
export function readRange(text: string | null): Range {
  return RANGES.find(({ value }) => value === text)?.value ?? DEFAULT;
}

export function windowOf(range: Range, to: number, series: Iterable<Series>): Window {
  if (range !== 'all') return { from: to - SPANS_MS[range], to };
  const firsts = [...series].flatMap(({ firstAt }) => (firstAt === undefined ? [] : [firstAt]));
  return { from: Math.min(to - MINUTE_MS, ...firsts), to };
}
