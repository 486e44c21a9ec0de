/** Messages that came while the tree stands still. When it is full, what comes is counted and let go. */
import type { Message } from '../../message/message.ts';
import type { PauseStats } from '../protocol.ts';
import { HELD_BYTES_MAX } from '../protocol.ts';

const MESSAGE_BYTES = 256;

export class Hold {
  #messages: Message[] = [];
  #bytes = 0;
  #lost = 0;

  get stats(): PauseStats {
    return { held: this.#messages.length, heldBytes: this.#bytes, lost: this.#lost };
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

  release(): Message[] {
    return this.#messages;
  }
}
