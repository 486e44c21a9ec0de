/** The values of one field over time, bounded: the oldest go first. Cut into windows for charts and files. Pure. */
export interface Window {
  /** Milliseconds of the wall clock. */
  from: number;
  to: number;
}

/** Two lists of the same length, as charts want them; a null is a gap. */
export interface Points {
  times: number[];
  values: (number | null)[];
}

export interface Summary {
  low: number;
  high: number;
  mean: number;
}

/** Two hours of a state every two seconds. */
export const POINTS_MAX = 3_600;

export class Series {
  #times: number[] = [];
  #values: number[] = [];

  /** Values come in order of time: what is not newer than the last one is there already. */
  add(at: number, value: number): void {
    if (!Number.isFinite(value) || at <= (this.#times.at(-1) ?? -Infinity)) return;
    this.#times.push(at);
    this.#values.push(value);
    // Now and then, so that a value costs no copy of all.
    if (this.#times.length >= 2 * POINTS_MAX) this.#cut();
  }

  get firstAt(): number | undefined {
    return this.#times[Math.max(0, this.#times.length - POINTS_MAX)];
  }

  get last(): number | undefined {
    return this.#values.at(-1);
  }

  /**
   * The values in the window, and one on either side of it, so that lines reach its edges. A silence of more than
   * `silenceMs` is a gap.
   */
  window({ from, to }: Window, silenceMs: number): Points {
    const start = Math.max(this.#firstIndex, this.#indexFrom(from) - 1);
    const end = Math.min(this.#times.length, this.#indexFrom(to) + 1);
    const points: Points = { times: [], values: [] };
    for (let index = start; index < end; index++) {
      const at = this.#times[index] ?? 0;
      const before = this.#times[index - 1] ?? at;
      if (index > start && at - before > silenceMs) {
        points.times.push((before + at) / 2);
        points.values.push(null);
      }
      points.times.push(at);
      points.values.push(this.#values[index] ?? null);
    }
    return points;
  }

  /** Exactly those in the window. */
  within({ from, to }: Window): { at: number; value: number }[] {
    const found: { at: number; value: number }[] = [];
    for (let index = Math.max(this.#firstIndex, this.#indexFrom(from)); index < this.#times.length; index++) {
      const at = this.#times[index] ?? 0;
      if (at > to) break;
      found.push({ at, value: this.#values[index] ?? 0 });
    }
    return found;
  }

  summary(window: Window): Summary | undefined {
    const values = this.within(window).map(({ value }) => value);
    if (values.length === 0) return undefined;
    let low = Infinity;
    let high = -Infinity;
    let mean = 0;
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
      // Divided first: the sum of many numbers need not be a number.
      mean += value / values.length;
    }
    return { low, high, mean };
  }

  get #firstIndex(): number {
    return Math.max(0, this.#times.length - POINTS_MAX);
  }

  /** Index of the first value at or after the time. */
  #indexFrom(at: number): number {
    let low = 0;
    let high = this.#times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#times[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #cut(): void {
    this.#times = this.#times.slice(-POINTS_MAX);
    this.#values = this.#values.slice(-POINTS_MAX);
  }
}
