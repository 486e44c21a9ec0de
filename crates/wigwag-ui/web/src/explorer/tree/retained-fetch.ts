/** Waits for the retained messages of some topics, whole as a new subscription brings them. */
import type { Message } from '../../message/message.ts';
import { LATEST_BYTES_MAX } from '../protocol.ts';

/** So long after the last of them nothing more is expected. */
export const FETCH_IDLE_MS = 3_000;

export class RetainedFetch {
  readonly #awaited: Set<string>;
  readonly #fetched = new Map<string, Message>();
  readonly #done: (fetched: ReadonlyMap<string, Message>) => void;
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(topics: Iterable<string>, done: (fetched: ReadonlyMap<string, Message>) => void) {
    this.#awaited = new Set(topics);
    this.#done = done;
    this.#waitOn();
  }

  /** Whether the message was waited for. */
  take(message: Message): boolean {
    if (!message.retain || message.bytes === 0 || !this.#awaited.delete(message.topic)) return false;
    this.#bytes += message.payload.length;
    // Without its payload it can be cleared, and not be published again.
    const kept = this.#bytes > LATEST_BYTES_MAX ? { ...message, payload: new Uint8Array() } : message;
    this.#fetched.set(message.topic, kept);
    this.#waitOn();
    return true;
  }

  #waitOn(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#awaited.clear();
        this.#done(this.#fetched);
      },
      this.#awaited.size === 0 ? 0 : FETCH_IDLE_MS,
    );
  }
}
