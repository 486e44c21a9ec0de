/**
 * Gathers messages in the worker, so that the page is woken a few times a second and not once per message. After a quiet
 * moment a message goes on at once: the answer to a command should not wait. The page gets no more than it says it has
 * handled: what it has no time for waits here, where it does not stand before the next frame.
 */
import type { FromWorker, Incoming } from './protocol.ts';

export const BATCH_EVERY_MS = 50;
/** What the page gets in one piece: between two of them it may draw, or answer somebody who types. */
export const PIECE_MESSAGES_MAX = 500;
/** All that ten thousand devices have retained, and more; beyond it the oldest go. */
export const WAITING_MESSAGES_MAX = 40_000;
export const WAITING_BYTES_MAX = 64 * 1024 * 1024;

export class Batch {
  readonly #post: (message: FromWorker) => void;
  #messages: Incoming[] = [];
  #bytes = 0;
  #skipped = 0;
  #postedAt = 0;
  /** Pieces that the page has not handled yet. */
  #unhandled = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  add(message: Incoming): void {
    this.#messages.push(message);
    this.#bytes += sizeOf(message);
    // Twice the bound before cutting, so that a flood costs one copy per bound and not one per message.
    if (this.#messages.length >= 2 * WAITING_MESSAGES_MAX || this.#bytes >= 2 * WAITING_BYTES_MAX)
      this.#cut();
    this.#schedule();
  }

  /** The page has handled a piece. */
  handleHandled(): void {
    this.#unhandled -= 1;
    if (this.#messages.length >= PIECE_MESSAGES_MAX && this.#unhandled === 0) this.#postPiece();
    else this.#schedule();
  }

  /** Hands over all there is, whether the page has time for it or not. */
  flush(): void {
    while (this.#messages.length > 0) this.#postPiece();
  }

  #schedule(): void {
    if (this.#unhandled > 0 || this.#messages.length === 0) return;
    this.#timer ??= setTimeout(
      () => {
        this.#postPiece();
      },
      this.#postedAt + BATCH_EVERY_MS - Date.now(),
    );
  }

  #postPiece(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#cut();
    const messages = this.#messages.slice(0, PIECE_MESSAGES_MAX);
    this.#messages = this.#messages.slice(PIECE_MESSAGES_MAX);
    for (const message of messages) this.#bytes -= sizeOf(message);
    this.#postedAt = Date.now();
    this.#unhandled += 1;
    this.#post({ kind: 'messages', messages, skipped: this.#skipped });
    this.#skipped = 0;
  }

  #cut(): void {
    let excess = 0;
    for (const message of this.#messages) {
      const left = this.#messages.length - excess;
      if (left <= WAITING_MESSAGES_MAX && this.#bytes <= WAITING_BYTES_MAX) break;
      this.#bytes -= sizeOf(message);
      excess += 1;
    }
    if (excess > 0) this.#messages = this.#messages.slice(excess);
    this.#skipped += excess;
  }
}

function sizeOf({ text, payload }: Incoming): number {
  return text.length + (payload?.length ?? 0);
}
