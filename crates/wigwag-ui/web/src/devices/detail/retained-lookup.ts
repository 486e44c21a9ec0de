/**
 * What the broker keeps of one device: subscribes to its topics for a moment, takes what is
 * marked as retained, and leaves. Asks for nothing afterwards; what it found is as old as it says.
 */
import type { Incoming } from '../../mqtt/protocol.ts';
import { FrameStore } from '../../ui/frame-store.ts';
import { REFRESH_MS } from '../health.ts';

export const TOPICS_MAX = 200;

export interface RetainedTopic {
  topic: string;
  text: string;
  bytes: number;
}

export interface RetainedView {
  isLooking: boolean;
  /** When the last look began. */
  at: number | undefined;
  /** By name. */
  topics: readonly RetainedTopic[];
  /** Topics beyond {@link TOPICS_MAX}. */
  beyond: number;
}

type Watch = (filter: string, handle: (message: Incoming) => void) => () => void;

export class RetainedLookup extends FrameStore<RetainedView> {
  readonly #filters: readonly string[];
  readonly #watch: Watch;
  #topics = new Map<string, RetainedTopic>();
  #beyond = new Set<string>();
  #at: number | undefined;
  #end: (() => void) | undefined;

  constructor(filters: readonly string[], watch: Watch) {
    super();
    this.#filters = filters;
    this.#watch = watch;
  }

  look(): void {
    this.stop();
    this.#topics = new Map();
    this.#beyond = new Set();
    this.#at = Date.now();
    const leaves = this.#filters.map((filter) =>
      this.#watch(filter, (message) => {
        if (message.retain && message.bytes > 0) this.#take(message);
      }),
    );
    // No broker says which retained message is the last one.
    const timer = setTimeout(() => {
      this.stop();
    }, REFRESH_MS);
    this.#end = () => {
      clearTimeout(timer);
      for (const leave of leaves) leave();
    };
    this.changed();
  }

  stop(): void {
    this.#end?.();
    this.#end = undefined;
    this.changed();
  }

  protected override view(): RetainedView {
    const topics = [...this.#topics.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1));
    return { isLooking: this.#end !== undefined, at: this.#at, topics, beyond: this.#beyond.size };
  }

  #take({ topic, text, bytes }: Incoming): void {
    const isKnown = this.#topics.has(topic);
    if (isKnown || this.#topics.size < TOPICS_MAX) {
      this.#topics.set(topic, { topic, text: text.slice(0, TEXT_CHARS_MAX), bytes });
    } else if (this.#beyond.size < BEYOND_MAX) {
      this.#beyond.add(topic);
    }
    this.changed();
  }
}

const TEXT_CHARS_MAX = 512;
const BEYOND_MAX = 10_000;
