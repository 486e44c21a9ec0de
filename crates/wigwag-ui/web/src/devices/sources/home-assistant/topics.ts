/** Who listens to which topic: subscribes to each once, for as long as somebody does, and to no more than there is room for. */
import type { Incoming } from '../../../mqtt/protocol.ts';

export const TOPICS_MAX = 5_000;
/** Longer messages are not kept for those who begin to listen later. */
const KEPT_BYTES_MAX = 4_096;

const NOBODY: ReadonlySet<never> = new Set();

interface Entry<Listener> {
  listeners: Set<Listener>;
  /** The broker tells retained messages to the first listener only. */
  last: Incoming | undefined;
  stop: () => void;
}

export class Topics<Listener extends object> {
  readonly #subscribe: (topic: string) => () => void;
  readonly #topics = new Map<string, Entry<Listener>>();
  readonly #of = new Map<Listener, ReadonlySet<string>>();

  constructor(subscribe: (topic: string) => () => void) {
    this.#subscribe = subscribe;
  }

  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  /** Who listens to the topic of the message, which is kept for those who come later. */
  deliver(message: Incoming): ReadonlySet<Listener> {
    const entry = this.#topics.get(message.topic);
    if (entry === undefined) return NOBODY;
    entry.last = message.bytes <= KEPT_BYTES_MAX ? message : undefined;
    return entry.listeners;
  }

  /** The last message of a topic that somebody listens to. */
  last(topic: string): Incoming | undefined {
    return this.#topics.get(topic)?.last;
  }

  /** From now on to these and to no others. Returns how many of them there was no room for. */
  listen(listener: Listener, topics: Iterable<string>): number {
    const wanted = new Set<string>();
    let refused = 0;
    for (const topic of topics) {
      if (this.#topics.has(topic) || this.#topics.size < TOPICS_MAX) {
        wanted.add(topic);
        this.#add(topic, listener);
      } else refused += 1;
    }
    for (const topic of this.#of.get(listener) ?? []) if (!wanted.has(topic)) this.#remove(topic, listener);
    if (wanted.size > 0) this.#of.set(listener, wanted);
    else this.#of.delete(listener);
    return refused;
  }

  #add(topic: string, listener: Listener): void {
    let entry = this.#topics.get(topic);
    if (entry === undefined) {
      entry = { listeners: new Set(), last: undefined, stop: this.#subscribe(topic) };
      this.#topics.set(topic, entry);
    }
    entry.listeners.add(listener);
  }

  #remove(topic: string, listener: Listener): void {
    const entry = this.#topics.get(topic);
    if (entry?.listeners.delete(listener) !== true || entry.listeners.size > 0) return;
    entry.stop();
    this.#topics.delete(topic);
  }
}
