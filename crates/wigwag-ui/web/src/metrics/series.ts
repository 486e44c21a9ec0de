/**
 * Arithmetic over time: sums, rates and quantiles of what was recorded, as lines of a chart want them. Nulls are gaps:
 * nothing is made up where nothing is known.
 */
import type { Labels } from './exposition.ts';
import type { Column, Recording } from './recording.ts';

export type Values = (number | null)[];

/** Over how much time quantiles look: single moments have few observations. */
const QUANTILE_OVER_MS = 10_000;

/** The columns of a name whose labels have these values. */
export function select({ columns }: Recording, name: string, where: Labels = {}): Column[] {
  const wanted = Object.entries(where);
  return [...columns.values()].filter(
    (column) => column.name === name && wanted.every(([label, value]) => column.labels[label] === value),
  );
}

/** What is missing in one column counts as nothing there, as with PromQL; what is missing in all is missing. */
export function sum(columns: readonly { values: ArrayLike<number> }[], length: number): Values {
  return Array.from({ length }, (_, row) => {
    let total: number | null = null;
    for (const { values } of columns) {
      const value = values[row] ?? NaN;
      if (!Number.isNaN(value)) total = (total ?? 0) + value;
    }
    return total;
  });
}

/** Per second, of one counter. Where it begins anew, its process did. */
export function rate(times: readonly number[], values: ArrayLike<number>): Float64Array {
  return Float64Array.from(times, (at, row) => {
    const since = times[row - 1];
    if (since === undefined) return NaN;
    const growth = (values[row] ?? NaN) - (values[row - 1] ?? NaN);
    return growth < 0 ? NaN : (growth / (at - since)) * 1_000;
  });
}

/** Of a histogram's buckets, interpolated within a bucket as Prometheus does it; null where nothing was observed. */
export function quantile(times: readonly number[], buckets: readonly Column[], q: number): Values {
  const sorted = buckets
    .map(({ labels, values }) => ({ bound: boundOf(labels.le), values }))
    .sort((one, other) => one.bound - other.bound);
  let begin = 0;
  return times.map((at, row) => {
    while ((times[begin] ?? at) < at - QUANTILE_OVER_MS) begin += 1;
    // The moment before the window, so that the window is a whole one.
    const from = Math.min(begin, Math.max(row - 1, 0));
    return quantileOf(
      sorted.map(({ bound, values }) => ({
        bound,
        count: (values[row] ?? NaN) - (values[from] ?? NaN),
      })),
      q,
    );
  });
}

/** `count` of a bucket includes those of all smaller ones. */
export function quantileOf(buckets: readonly { bound: number; count: number }[], q: number): number | null {
  const total = buckets.at(-1)?.count ?? 0;
  if (!(total > 0)) return null;
  const rank = q * total;
  let [lowerBound, lowerCount] = [0, 0];
  for (const { bound, count } of buckets) {
    if (count >= rank) {
      // Above the last bound, nobody knows how far.
      if (bound === Infinity) return lowerBound;
      const within = count - lowerCount;
      return within === 0 ? bound : lowerBound + ((bound - lowerBound) * (rank - lowerCount)) / within;
    }
    [lowerBound, lowerCount] = [bound, count];
  }
  return lowerBound;
}

export function last(values: Values): number | null {
  return values.at(-1) ?? null;
}

function boundOf(text: string | undefined): number {
  return text === '+Inf' ? Infinity : Number(text);
}
