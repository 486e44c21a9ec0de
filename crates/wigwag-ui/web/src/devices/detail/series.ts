/**
 * The values of one field over time, bounded: the oldest go first. They come one by one as they are heard, and in spans
 * from whoever recorded them before. Cut into windows for charts and files. Pure.
 */
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

/** A state every two seconds for more than a day. */
export const POINTS_MAX = 50_000;
/** The same value from two sources, whose clocks and ways are not the same; that of a device may know whole seconds only. */
const SAME_WITHIN_MS = 1_500;
/** More would fall on the same pixels. */
export const DRAWN_MAX = 2_000;

export class Series {
  #times: number[] = [];
  #values: number[] = [];
  /** The time of the latest that was heard, which may stand at another time by now. */
  #heardAt = -Infinity;
  #version = 0;
  #capacity: number;

  constructor(capacity: number = POINTS_MAX) {
    this.#capacity = capacity;
  }

  /** Values come in order of time: what is not newer than the last one is there already. */
  add(at: number, value: number): void {
    if (!Number.isFinite(value) || at <= this.#heardAt) return;
    this.#heardAt = at;
    if (at <= (this.#times.at(-1) ?? -Infinity)) return;
    this.#times.push(at);
    this.#values.push(value);
    this.#version += 1;
    // Now and then, so that a value costs no copy of all.
    if (this.#times.length >= 2 * this.#capacity) this.#cut();
  }

  /**
   * Puts values in between, in order of time. Of one that was heard as well, the recorded time holds: that of a retained
   * message may be a guess.
   */
  addPast(times: readonly number[], values: readonly number[]): void {
    const heard = this.#withoutThose(times, values);
    const after: { times: number[]; values: number[] } = { times: [], values: [] };
    const take = (at: number, value: number): void => {
      if (!Number.isFinite(value) || at <= (after.times.at(-1) ?? -Infinity)) return;
      after.times.push(at);
      after.values.push(value);
    };
    let next = 0;
    for (const [index, at] of times.entries()) {
      for (; next < heard.length && (this.#times[heard[next] ?? 0] ?? 0) < at; next++) {
        take(this.#times[heard[next] ?? 0] ?? 0, this.#values[heard[next] ?? 0] ?? 0);
      }
      take(at, values[index] ?? NaN);
    }
    for (; next < heard.length; next++) {
      take(this.#times[heard[next] ?? 0] ?? 0, this.#values[heard[next] ?? 0] ?? 0);
    }
    this.#times = after.times;
    this.#values = after.values;
    this.#version += 1;
    this.#cut();
  }

  /** Keeps no more than so many from now on. */
  limit(capacity: number): void {
    this.#capacity = capacity;
    this.#cut();
  }

  /** Changes with every change. */
  get version(): number {
    return this.#version;
  }

  /** Whether an older value would have no place. */
  get isFull(): boolean {
    return this.#times.length >= this.#capacity;
  }

  get firstAt(): number | undefined {
    return this.#times[this.#firstIndex];
  }

  get last(): number | undefined {
    return this.#values.at(-1);
  }

  /**
   * The values in the window, and one on either side of it, so that lines reach its edges. A silence of more than
   * `silenceMs` is a gap. Of more values than can be drawn, the lowest and highest of each moment.
   */
  window({ from, to }: Window, silenceMs: number): Points {
    const start = Math.max(this.#firstIndex, this.#indexFrom(from) - 1);
    const end = Math.min(this.#times.length, this.#indexFrom(to) + 1);
    const isDense = end - start > DRAWN_MAX;
    const moments = new Moments((to - from) / (DRAWN_MAX / 2), isDense);
    for (let index = start; index < end; index++) {
      const at = this.#times[index] ?? 0;
      const before = this.#times[index - 1] ?? at;
      if (index > start && at - before > silenceMs) moments.addGap((before + at) / 2);
      moments.add(at, this.#values[index] ?? 0);
    }
    return moments.end();
  }

  /** Exactly those in the window. */
  within({ from, to }: Window): { at: number; value: number }[] {
    const found: { at: number; value: number }[] = [];
    this.#visit({ from, to }, (at, value) => found.push({ at, value }));
    return found;
  }

  summary(window: Window): Summary | undefined {
    let count = 0;
    this.#visit(window, () => (count += 1));
    if (count === 0) return undefined;
    let [low, high, mean] = [Infinity, -Infinity, 0];
    this.#visit(window, (_, value) => {
      low = Math.min(low, value);
      high = Math.max(high, value);
      // Divided first: the sum of many numbers need not be a number.
      mean += value / count;
    });
    return { low, high, mean };
  }

  #visit({ from, to }: Window, act: (at: number, value: number) => void): void {
    for (let index = Math.max(this.#firstIndex, this.#indexFrom(from)); index < this.#times.length; index++) {
      const at = this.#times[index] ?? 0;
      if (at > to) break;
      act(at, this.#values[index] ?? 0);
    }
  }

  /** The places of the values that are not among these. */
  #withoutThose(times: readonly number[], values: readonly number[]): number[] {
    const same = new Set<number>();
    for (const [index, at] of times.entries()) {
      let place = this.#indexFrom(at - SAME_WITHIN_MS);
      for (; place < this.#times.length && (this.#times[place] ?? 0) <= at + SAME_WITHIN_MS; place++) {
        if (this.#values[place] === values[index]) same.add(place);
      }
    }
    const places = Array.from(this.#times.keys());
    return same.size === 0 ? places : places.filter((place) => !same.has(place));
  }

  get #firstIndex(): number {
    return Math.max(0, this.#times.length - this.#capacity);
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
    if (this.#times.length <= this.#capacity) return;
    this.#times = this.#times.slice(-this.#capacity);
    this.#values = this.#values.slice(-this.#capacity);
  }
}

/** Points on their way to a drawing: of each moment the lowest and the highest in their order, or all of them. */
class Moments {
  readonly #lasts: number;
  readonly #isDense: boolean;
  readonly #points: Points = { times: [], values: [] };
  #begin = -Infinity;
  #low: [at: number, value: number] | undefined;
  #high: [at: number, value: number] | undefined;

  constructor(lasts: number, isDense: boolean) {
    this.#lasts = lasts;
    this.#isDense = isDense;
  }

  add(at: number, value: number): void {
    if (!this.#isDense) {
      this.#put(at, value);
      return;
    }
    if (at - this.#begin >= this.#lasts) {
      this.#flush();
      this.#begin = at;
    }
    if (this.#low === undefined || value < this.#low[1]) this.#low = [at, value];
    if (this.#high === undefined || value > this.#high[1]) this.#high = [at, value];
  }

  addGap(at: number): void {
    this.#flush();
    this.#begin = -Infinity;
    this.#put(at, null);
  }

  end(): Points {
    this.#flush();
    return this.#points;
  }

  #flush(): void {
    const [low, high] = [this.#low, this.#high];
    this.#low = this.#high = undefined;
    if (low === undefined || high === undefined) return;
    const [first, second] = low[0] <= high[0] ? [low, high] : [high, low];
    this.#put(...first);
    if (second[0] > first[0]) this.#put(...second);
  }

  #put(at: number, value: number | null): void {
    this.#points.times.push(at);
    this.#points.values.push(value);
  }
}
