/**
 * The latest numbers of a field, immutable to whoever looks, oldest first. Adding one costs no copy of the others: all
 * versions share one list that only grows, and each knows which part of it is its own.
 */
export interface Sample {
  at: number;
  value: number;
}

/** Two minutes of a state every two seconds, and some to spare for the states between. */
export const SAMPLES_MAX = 90;

export class Samples {
  static readonly NONE = new Samples([], [], 0);

  readonly #times: number[];
  readonly #values: number[];
  readonly #end: number;

  private constructor(times: number[], values: number[], end: number) {
    this.#times = times;
    this.#values = values;
    this.#end = end;
  }

  get length(): number {
    return Math.min(this.#end, SAMPLES_MAX);
  }

  get last(): Sample | undefined {
    return this.#at(this.#end - 1);
  }

  /** Samples come in order of time: what is not newer than the last is there already. */
  with(at: number, value: number): Samples {
    if (!Number.isFinite(value) || at <= (this.#times[this.#end - 1] ?? -Infinity)) return this;
    const isLatest = this.#end > 0 && this.#end === this.#times.length;
    if (isLatest && this.#end < 2 * SAMPLES_MAX) {
      this.#times.push(at);
      this.#values.push(value);
      return new Samples(this.#times, this.#values, this.#end + 1);
    }
    const from = Math.max(0, this.#end - SAMPLES_MAX + 1);
    const times = this.#times.slice(from, this.#end);
    const values = this.#values.slice(from, this.#end);
    times.push(at);
    values.push(value);
    return new Samples(times, values, times.length);
  }

  all(): Sample[] {
    const all: Sample[] = [];
    for (let index = this.#end - this.length; index < this.#end; index++) {
      const sample = this.#at(index);
      if (sample !== undefined) all.push(sample);
    }
    return all;
  }

  #at(index: number): Sample | undefined {
    const [at, value] = [this.#times[index], this.#values[index]];
    return at === undefined || value === undefined ? undefined : { at, value };
  }
}
