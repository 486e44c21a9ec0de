/**
 * What the Explorer's connection subscribes to: what the user has chosen, or, when the broker keeps the tree, only the
 * topics that are open; and whatever somebody needs every message of for a while.
 */
import type { Source } from '../protocol.ts';
import { covers } from './filters.ts';

export interface Subscriber {
  handle: (message: { kind: 'subscribe' | 'unsubscribe'; filter: string }) => void;
}

export class Feed {
  readonly #subscriber: Subscriber;
  #source: Source = 'filters';
  #filters: readonly string[] = [];
  readonly #topics = new Set<string>();
  readonly #needs = new Map<string, number>();
  #held = new Set<string>();

  constructor(subscriber: Subscriber) {
    this.#subscriber = subscriber;
  }

  setSource(source: Source): void {
    this.#source = source;
    this.#sync();
  }

  setFilters(filters: readonly string[]): void {
    this.#filters = filters;
    this.#sync();
  }

  watch(topic: string): void {
    // A link may name anything as a topic.
    if (/[+#]/.test(topic) || topic === '') return;
    this.#topics.add(topic);
    this.#sync();
  }

  unwatch(topic: string): void {
    this.#topics.delete(topic);
    this.#sync();
  }

  /** Until what is returned is called, all messages come that match. */
  need(filter: string): () => void {
    this.#needs.set(filter, (this.#needs.get(filter) ?? 0) + 1);
    this.#sync();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = (this.#needs.get(filter) ?? 1) - 1;
      if (left > 0) this.#needs.set(filter, left);
      else this.#needs.delete(filter);
      this.#sync();
    };
  }

  #sync(): void {
    const wanted = new Set(this.#wanted());
    for (const filter of this.#held) {
      if (!wanted.has(filter)) this.#subscriber.handle({ kind: 'unsubscribe', filter });
    }
    for (const filter of wanted) {
      if (!this.#held.has(filter)) this.#subscriber.handle({ kind: 'subscribe', filter });
    }
    this.#held = wanted;
  }

  #wanted(): string[] {
    const needs = [...this.#needs.keys()];
    if (this.#source === 'tree') return [...this.#topics, ...needs];
    return [
      ...this.#filters,
      // What comes anyway must not come twice.
      ...needs.filter((need) => !this.#filters.some((filter) => covers(filter, need))),
    ];
  }
}
