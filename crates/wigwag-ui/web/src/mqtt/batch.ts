/**
 * Gathers messages in the worker, so that the page is woken a few times a second and not once per message. After a quiet
 * moment a message goes on at once: the answer to a command should not wait.
 */
import type { FromWorker, Incoming } from './protocol.ts';

export const BATCH_EVERY_MS = 50;
export const BATCH_MESSAGES_MAX = 5_000;
/** What the page gets in one piece: between two of them it may draw, or answer somebody who types. */
export const PIECE_MESSAGES_MAX = 500;

export class Batch {
  readonly #post: (message: FromWorker) => void;
  #messages: Incoming[] = [];
  #skipped = 0;
  #flushedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  add(message: Incoming): void {
    this.#messages.push(message);
    // Twice the bound before cutting, so that a flood costs one copy per bound and not one per message.
    if (this.#messages.length >= 2 * BATCH_MESSAGES_MAX) this.#cut();
    this.#timer ??= setTimeout(
      () => {
        this.flush();
      },
      this.#flushedAt + BATCH_EVERY_MS - Date.now(),
    );
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#messages.length === 0) return;
    this.#cut();
    this.#flushedAt = Date.now();
    let skipped = this.#skipped;
    for (let from = 0; from < this.#messages.length; from += PIECE_MESSAGES_MAX) {
      const messages = this.#messages.slice(from, from + PIECE_MESSAGES_MAX);
      this.#post({ kind: 'messages', messages, skipped });
      skipped = 0;
    }
    this.#messages = [];
    this.#skipped = 0;
  }

  #cut(): void {
    const excess = this.#messages.length - BATCH_MESSAGES_MAX;
    if (excess <= 0) return;
    this.#messages = this.#messages.slice(excess);
    this.#skipped += excess;
  }
}
