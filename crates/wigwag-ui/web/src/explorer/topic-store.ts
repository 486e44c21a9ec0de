/** The page's copy of one topic's messages, for as long as somebody looks at it. The worker keeps the original. */
import type { Message, TopicView } from '../message/message.ts';
import { FrameStore } from '../ui/frame-store.ts';
import type { TopicChange } from './protocol.ts';

export class TopicStore extends FrameStore<TopicView> {
  readonly topic: string;
  #history: readonly Message[] = [];
  #total = 0;

  constructor(topic: string) {
    super();
    this.topic = topic;
  }

  handleChange({ keptFrom, added, total }: TopicChange): void {
    // What is added may take the place of what is there.
    const before = added[0]?.seq ?? Infinity;
    const kept = this.#history.filter(({ seq }) => seq >= keptFrom && seq < before);
    this.#history = [...kept, ...added];
    this.#total = total;
    this.changed();
  }

  /** The tree has been emptied. */
  forget(): void {
    this.#history = [];
    this.#total = 0;
    this.changed();
  }

  protected override view(): TopicView {
    return { topic: this.topic, history: this.#history, total: this.#total };
  }
}
