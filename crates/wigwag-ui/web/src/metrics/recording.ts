/**
 * The last quarter of an hour of every sample: one row per moment, one column per sample. What did not come at a moment is
 * NaN there, a column that has nothing left goes, and what is beyond the bounds is counted.
 */
import type { Sample } from './exposition.ts';
import { SAMPLES_MAX, selectorOf } from './exposition.ts';

export const KEPT_MS = 15 * 60_000;
/** A moment every second, and some that come early. */
export const MOMENTS_MAX = 1_000;

export interface Column {
  name: string;
  labels: Sample['labels'];
  values: Float64Array;
}

/** Immutable; the columns are as long as `times`. */
export interface Recording {
  times: readonly number[];
  columns: ReadonlyMap<string, Column>;
  /** Samples of the last moment for which there was no column left. */
  beyond: number;
}

export class Recorder {
  #times: number[] = [];
  readonly #columns = new Map<string, Column>();
  #beyond = 0;

  add(at: number, samples: readonly Sample[]): void {
    this.#forget(at);
    const row = this.#times.push(at) - 1;
    for (const column of this.#columns.values()) column.values[row] = NaN;
    this.#beyond = 0;
    for (const { name, labels, value } of samples) {
      const column = this.#column(name, labels);
      if (column === undefined) this.#beyond += 1;
      else column.values[row] = value;
    }
  }

  /** Nothing is known of a moment: a gap. */
  addGap(at: number): void {
    this.add(at, []);
  }

  recording(): Recording {
    const length = this.#times.length;
    const columns = [...this.#columns].map(([key, column]): [string, Column] => [
      key,
      { ...column, values: column.values.slice(0, length) },
    ]);
    return { times: [...this.#times], columns: new Map(columns), beyond: this.#beyond };
  }

  #column(name: string, labels: Sample['labels']): Column | undefined {
    const key = selectorOf({ name, labels });
    const found = this.#columns.get(key);
    if (found !== undefined || this.#columns.size === SAMPLES_MAX) return found;
    const column = { name, labels, values: new Float64Array(MOMENTS_MAX).fill(NaN) };
    this.#columns.set(key, column);
    return column;
  }

  /** Makes room for one more moment. */
  #forget(at: number): void {
    // A clock that was set back makes no sense of what was before.
    if (at <= (this.#times.at(-1) ?? -Infinity)) {
      this.#times = [];
      this.#columns.clear();
      return;
    }
    let count = this.#times.findIndex((time) => time > at - KEPT_MS);
    if (count === -1) count = this.#times.length;
    if (count === 0 && this.#times.length === MOMENTS_MAX) count = 1;
    if (count === 0) return;
    this.#times.splice(0, count);
    for (const [key, { values }] of this.#columns) {
      values.copyWithin(0, count);
      if (values.subarray(0, this.#times.length).every(Number.isNaN)) this.#columns.delete(key);
    }
  }
}
