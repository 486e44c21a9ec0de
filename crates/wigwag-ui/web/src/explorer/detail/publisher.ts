/**
 * Sends messages, once or again and again, and tells what became of the last one. Outlives its panel: a repetition goes
 * on while something else is looked at.
 */
import type { Outgoing, PublishOutcome } from '../../mqtt/protocol.ts';
import { FrameStore } from '../../ui/frame-store.ts';

export interface PublisherView {
  last: Sent | undefined;
  /** While messages are sent again and again. */
  repetition: Repetition | undefined;
}

export interface Sent {
  topic: string;
  at: number;
  /** Absent until the broker has answered. */
  outcome: PublishOutcome | undefined;
}

export interface Repetition {
  sent: number;
  /** Absent for until it is stopped. */
  times: number | undefined;
}

export const EVERY_SECS_MIN = 0.1;
export const EVERY_SECS_MAX = 86_400;

export class Publisher extends FrameStore<PublisherView> {
  readonly #publish: (message: Outgoing) => Promise<PublishOutcome>;
  #last: Sent | undefined;
  #repetition: Repetition | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(publish: (message: Outgoing) => Promise<PublishOutcome>) {
    super();
    this.#publish = publish;
  }

  async send(message: Outgoing): Promise<PublishOutcome> {
    const sent: Sent = { topic: message.topic, at: Date.now(), outcome: undefined };
    this.#last = sent;
    this.changed();
    const outcome = await this.#publish(message);
    if (this.#last === sent) this.#last = { ...sent, outcome };
    this.changed();
    return outcome;
  }

  /** Ends by itself when a message does not get through: the reason is that of the last one. */
  repeat(message: Outgoing, everyMs: number, times: number | undefined): void {
    this.stop();
    const repetition: Repetition = { sent: 0, times };
    this.#repetition = repetition;
    void this.#turn(message, everyMs, repetition);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#repetition = undefined;
    this.changed();
  }

  protected override view(): PublisherView {
    const repetition = this.#repetition === undefined ? undefined : { ...this.#repetition };
    return { last: this.#last, repetition };
  }

  async #turn(message: Outgoing, everyMs: number, repetition: Repetition): Promise<void> {
    const begun = Date.now();
    const { kind } = await this.send(message);
    if (this.#repetition !== repetition) return;
    repetition.sent += 1;
    if (kind === 'refused' || kind === 'interrupted' || repetition.sent === repetition.times) {
      this.stop();
      return;
    }
    // A broker that answers slowly is not sent more than it can answer.
    this.#timer = setTimeout(
      () => {
        void this.#turn(message, everyMs, repetition);
      },
      Math.max(0, begun + everyMs - Date.now()),
    );
  }
}
