/**
 * Clears the retained messages of many topics, a few at a time, and can publish them again for a while. What somebody
 * has published since is left alone.
 */
import type { Message } from '../../message/message.ts';
import type { Outgoing, PublishOutcome } from '../../mqtt/protocol.ts';
import type { Clearing } from '../protocol.ts';

export const UNDO_MS = 30_000;
const IN_FLIGHT_MAX = 20;

type Publish = (message: Outgoing) => Promise<PublishOutcome>;

export class ClearJob {
  readonly #path: string;
  readonly #publish: Publish;
  readonly #report: (clearing: Clearing) => void;
  readonly #cleared: Message[] = [];
  #isCancelled = false;

  constructor(path: string, publish: Publish, report: (clearing: Clearing) => void) {
    this.#path = path;
    this.#publish = publish;
    this.#report = report;
  }

  /** Ends with what is under way; what is cleared by then stays cleared, and can be undone. */
  cancel(): void {
    this.#isCancelled = true;
  }

  /** `withheld` more are left alone, because they could not be fetched and so could not come back. */
  async clear(messages: readonly Message[], now: () => number, withheld = 0): Promise<void> {
    const clear = async (message: Message): Promise<PublishOutcome> => {
      const outcome = await this.#publish({ topic: message.topic, payload: '', qos: 1, retain: true });
      // An answer that was lost may have been a yes: it can be undone as well.
      if (outcome.kind !== 'refused') this.#cleared.push(message);
      return outcome;
    };
    const sum = await this.#all('clearing', messages, clear, withheld);
    const restorable = this.#cleared.filter(isWhole).length;
    this.#report({ ...sum, phase: 'cleared', undoUntil: now() + UNDO_MS, restorable });
  }

  async undo(isReplaced: (message: Message) => boolean, now: () => number): Promise<void> {
    const wanted = this.#cleared.filter((message) => !isReplaced(message) && isWhole(message));
    const again = wanted.flatMap((message) => aged(message, now()));
    const sum = await this.#all('restoring', again, (message) => this.#publish(message));
    this.#report({ ...sum, phase: 'restored', skipped: this.#cleared.length - again.length });
  }

  async #all<Item>(
    phase: 'clearing' | 'restoring',
    items: readonly Item[],
    act: (item: Item) => Promise<PublishOutcome>,
    withheld = 0,
  ): Promise<Omit<Clearing, 'phase'>> {
    const sum: Omit<Clearing, 'phase'> = {
      path: this.#path,
      done: withheld,
      total: items.length + withheld,
      failed: withheld,
      reason: withheld > 0 ? 'the broker did not send it, so that it could not come back' : undefined,
    };
    const waiting = items.values();
    const work = async (): Promise<void> => {
      for (const item of waiting) {
        if (this.#isCancelled && phase === 'clearing') return;
        const outcome = await act(item);
        sum.done += 1;
        if (outcome.kind === 'refused' || outcome.kind === 'interrupted') {
          sum.failed += 1;
          sum.reason ??= outcome.kind === 'refused' ? outcome.reason : 'the connection was lost';
        }
        this.#report({ ...sum, phase });
      }
    };
    this.#report({ ...sum, phase });
    await Promise.all(Array.from({ length: IN_FLIGHT_MAX }, work));
    return sum;
  }
}

export function isWhole(message: Message): boolean {
  return message.payload.length === message.bytes;
}

/** As it would be retained by now: nothing, if it has expired meanwhile. */
function aged({ topic, payload, qos, properties, at }: Message, now: number): Outgoing[] {
  const expiry = properties.messageExpiryInterval;
  if (expiry === undefined) return [{ topic, payload, qos, retain: true, properties }];
  const messageExpiryInterval = expiry - Math.floor((now - at) / 1_000);
  if (messageExpiryInterval <= 0) return [];
  return [{ topic, payload, qos, retain: true, properties: { ...properties, messageExpiryInterval } }];
}
