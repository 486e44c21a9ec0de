/** The spans of time that charts offer, as they stand in the address of the page. Pure. */
import type { Series, Window } from './series.ts';

export const RANGES = [
  { value: '1m', name: '1 min' },
  { value: '5m', name: '5 min' },
  { value: '15m', name: '15 min' },
  { value: '1h', name: '1 h' },
  { value: '6h', name: '6 h' },
  { value: '24h', name: '24 h' },
  { value: 'all', name: 'All' },
] as const;

export type Range = (typeof RANGES)[number]['value'];

const DEFAULT: Range = '5m';
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const SPANS_MS: Record<Exclude<Range, 'all'>, number> = {
  '1m': MINUTE_MS,
  '5m': 5 * MINUTE_MS,
  '15m': 15 * MINUTE_MS,
  '1h': 60 * MINUTE_MS,
  '6h': 360 * MINUTE_MS,
  '24h': 1_440 * MINUTE_MS,
};
/** In longer spans, the window moves in steps of which a chart cannot show more. */
const STEPS = 2_000;

/** Anything may stand in an address. */
export function readRange(text: string | null): Range {
  return RANGES.find(({ value }) => value === text)?.value ?? DEFAULT;
}

export function windowOf(range: Range, now: number, series: Iterable<Series>): Window {
  if (range !== 'all') {
    const step = SPANS_MS[range] / STEPS;
    const to = step < SECOND_MS ? now : Math.ceil(now / step) * step;
    return { from: to - SPANS_MS[range], to };
  }
  const to = now;
  const firsts = [...series].flatMap(({ firstAt }) => (firstAt === undefined ? [] : [firstAt]));
  return { from: Math.min(to - MINUTE_MS, ...firsts), to };
}

/** For how far back recordings are asked for. All is a day, too. */
export function reachOf(range: Range, now: number): Window {
  return { from: now - SPANS_MS[range === 'all' ? '24h' : range], to: now };
}
