/** Counts what happens, and says how often it has happened per second of late. Pure but for the clock. */

const SECOND_MS = 1_000;
/** Whole seconds that the rate is of; the one that is under way does not count yet. */
const SECONDS = 5;

export class Meter {
  /** By the number of the second modulo their count: one more than is looked at, which is the present one. */
  readonly #counts = new Array<number>(SECONDS + 1).fill(0);
  #second = 0;

  count(times: number, now: number = Date.now()): void {
    const second = this.#advance(now);
    const at = second % this.#counts.length;
    this.#counts[at] = (this.#counts[at] ?? 0) + times;
  }

  /** Per second. */
  rate(now: number = Date.now()): number {
    const second = this.#advance(now);
    const present = this.#counts[second % this.#counts.length] ?? 0;
    const all = this.#counts.reduce((sum, count) => sum + count, 0);
    return (all - present) / SECONDS;
  }

  /**
   * Forgets the seconds that are too long ago. Who asks by a clock that ticks now and then may be a little behind: that is
   * the present second too. A clock that is set back begins anew.
   */
  #advance(now: number): number {
    const second = Math.floor(now / SECOND_MS);
    const gone = second - this.#second;
    if (gone < 0 && -gone < SECONDS) return this.#second;
    if (gone < 0 || gone >= this.#counts.length) this.#counts.fill(0);
    else
      for (let next = 1; next <= gone; next++) this.#counts[(this.#second + next) % this.#counts.length] = 0;
    this.#second = second;
    return second;
  }
}
