/** How many of many may go now, so that it stays below a rate. Pure: time is an argument. */

/** After a halt, such as that of a hidden tab, at most as many go at once as in this time. */
const BURST_MS = 1_000;

export class Pacer {
  readonly #perSec: number;
  #credit = 1;
  #countedAt: number;

  constructor(perSec: number, now: number) {
    this.#perSec = perSec;
    this.#countedAt = now;
  }

  /** Of those that would like to go. */
  take(wanted: number, now: number): number {
    // A clock that was set back is no reason to wait.
    const elapsedMs = Math.max(0, now - this.#countedAt);
    this.#countedAt = now;
    const burst = Math.max(1, (this.#perSec * BURST_MS) / 1_000);
    this.#credit = Math.min(burst, this.#credit + (elapsedMs * this.#perSec) / 1_000);
    const taken = Math.min(wanted, Math.floor(this.#credit));
    this.#credit -= taken;
    return taken;
  }
}
