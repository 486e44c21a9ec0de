/** What came while the tree stands still. When it is full, messages that come are counted and let go. */
import type { Message } from '../../message/message.ts';
import type { PauseStats } from '../protocol.ts';
import { HELD_BYTES_MAX } from '../protocol.ts';
import type { Update } from './topics-source.ts';

const MESSAGE_BYTES = 256;

export class Hold {
  #messages: Message[] = [];
  /** Of each topic one: what is told of it next takes its place. */
  readonly #updates = new Map<string, Update>();
  readonly #gone = new Set<string>();
  #bytes = 0;
  #counted = 0;
  #lost = 0;

  get stats(): PauseStats {
    return { held: this.#messages.length + this.#counted, heldBytes: this.#bytes, lost: this.#lost };
  }

  add(message: Message): void {
    const bytes = message.payload.length + MESSAGE_BYTES;
    if (this.#bytes + bytes > HELD_BYTES_MAX) {
      this.#lost += 1;
      return;
    }
    this.#messages.push(message);
    this.#bytes += bytes;
  }

  /** Loses nothing: there are no more than topics. */
  update(update: Update): void {
    const before = this.#updates.get(update.topic);
    this.#bytes += bytesOf(update) - (before === undefined ? 0 : bytesOf(before));
    this.#counted += update.count;
    this.#gone.delete(update.topic);
    this.#updates.set(update.topic, {
      ...update,
      message: update.message ?? before?.message,
      count: update.count + (before?.count ?? 0),
      isRated: update.isRated && (before?.isRated ?? true),
    });
  }

  remove(topic: string): void {
    const before = this.#updates.get(topic);
    if (before !== undefined) this.#bytes -= bytesOf(before);
    this.#updates.delete(topic);
    this.#gone.add(topic);
  }

  release(): { messages: Message[]; updates: Update[]; gone: string[] } {
    return { messages: this.#messages, updates: [...this.#updates.values()], gone: [...this.#gone] };
  }
}

function bytesOf({ message }: Update): number {
  return (message?.payload.length ?? 0) + MESSAGE_BYTES;
}
