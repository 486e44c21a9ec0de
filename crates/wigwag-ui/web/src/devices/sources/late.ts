/** Stands in for a source whose code is still to be loaded, and keeps what that is to hear. */
import type { Incoming } from '../../mqtt/protocol.ts';
import type { Way } from './further.ts';
import type { Source, SourceTools } from './source.ts';

/** As many as there are configurations of Home Assistant, which come all at once. */
export const WAITING_MAX = 20_000;
export const WAITING_BYTES_MAX = 16 * 1024 * 1024;

export interface LateEvents {
  /** It is there, and this is what it missed, in order; `lost` messages found no room. */
  handleLoaded: (source: Source, missed: readonly Incoming[], lost: number) => void;
  /** Nothing reads these; the next message has it tried again. */
  handleFailed: (missed: readonly Incoming[], lost: number, reason: string) => void;
}

export class LateSource {
  readonly #way: Way;
  readonly #tools: SourceTools;
  readonly #events: LateEvents;
  #isLoading = false;
  #waiting: Incoming[] = [];
  #bytes = 0;
  #lost = 0;

  constructor(way: Way, tools: SourceTools, events: LateEvents) {
    this.#way = way;
    this.#tools = tools;
    this.#events = events;
  }

  /** Keeps the message if it may be one for the source, and has the source loaded. */
  handle(message: Incoming): void {
    if (!message.topic.startsWith(this.#way.root)) return;
    if (this.#waiting.length >= WAITING_MAX || this.#bytes + message.bytes > WAITING_BYTES_MAX) {
      this.#lost += 1;
    } else {
      this.#waiting.push(message);
      this.#bytes += message.bytes;
    }
    if (!this.#isLoading) void this.#load();
  }

  async #load(): Promise<void> {
    this.#isLoading = true;
    let make;
    try {
      make = await this.#way.load();
    } catch (error) {
      this.#events.handleFailed(...this.#take(), error instanceof Error ? error.message : String(error));
      return;
    } finally {
      this.#isLoading = false;
    }
    this.#events.handleLoaded(make(this.#tools), ...this.#take());
  }

  #take(): [missed: readonly Incoming[], lost: number] {
    const taken = [this.#waiting, this.#lost] as const;
    this.#waiting = [];
    this.#bytes = 0;
    this.#lost = 0;
    return [...taken];
  }
}
