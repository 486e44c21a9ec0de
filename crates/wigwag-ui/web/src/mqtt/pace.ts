/**
 * How fast the page takes messages: as fast as it can, as long as that leaves time for frames. Messages that come all at
 * once would else be read one piece after the other, with nothing drawn in between.
 */

/** Half a frame, by the clock: a busy machine gives less. */
export const BUDGET_MS = 8;
/** A page that cannot draw must not stop reading. */
export const FRAME_WITHIN_MS = 50;

export class Pace {
  #since = -Infinity;
  #spentMs = 0;

  /** Reads what has come, and says `next` when there is time for more. */
  take(read: () => void, next: () => void): void {
    const startedAt = performance.now();
    if (startedAt - this.#since > FRAME_WITHIN_MS) this.#begin();
    try {
      read();
    } finally {
      // Whatever became of it: without a word, nothing more would come.
      this.#spentMs += performance.now() - startedAt;
      // What is not looked at has no frames, and next to no timers.
      if (this.#spentMs < BUDGET_MS || document.hidden) next();
      else this.#withNextFrame(next);
    }
  }

  #begin(): void {
    this.#since = performance.now();
    this.#spentMs = 0;
  }

  #withNextFrame(next: () => void): void {
    const goOn = (): void => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      this.#begin();
      next();
    };
    const frame = requestAnimationFrame(goOn);
    const timer = setTimeout(goOn, FRAME_WITHIN_MS);
  }
}
