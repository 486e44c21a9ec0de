/**
 * The commands sent and what became of them, one per device at a time: pending, then confirmed by the device's reply or
 * its new state, rejected, timed out, or cut off with the connection. Publishes through the function it is given.
 */
import type { Outgoing, PublishOutcome } from '../mqtt/protocol.ts';
import { FrameStore } from '../ui/frame-store.ts';
import type { Reply } from './contract.ts';
import { payloadOf, payloadText, UNWRITABLE } from './encode.ts';
import type { Control, Device, FieldValue } from './model.ts';
import { fieldOf } from './model.ts';

/** What was asked for, and the words for it. */
export interface Ask {
  /** Of the control, or `custom` for something in the user's own words. */
  key: string;
  name: string;
  ongoing: string;
  done: string;
}

export type Command = { ask: Ask; correlation: string; sentAt: number } & (
  | { phase: 'pending' }
  | { phase: 'confirmed'; by: 'reply' | 'state'; tookMs: number }
  /** The broker took it; the device has no way to say more. */
  | { phase: 'delivered' }
  | { phase: 'rejected'; error: string }
  /** The broker knows of nobody who is subscribed to the topic. */
  | { phase: 'unheard' }
  | { phase: 'timed-out' }
  | { phase: 'interrupted' }
);

export type CommandMessage = Outgoing & { correlation: string };
export type Outcome = Exclude<Command, { phase: 'pending' }>;
/** A time-out may be followed by a late answer; nothing follows anything else. */
export type HandleOutcome = (outcome: Outcome) => void;
export type CommandsView = ReadonlyMap<string, Command>;

export const REPLY_WITHIN_MS = 5_000;
/** Good news goes by itself; a failure stays until the next command. */
export const CONFIRMED_SHOWN_MS = 4_000;
/** A view lists all commands anew: those to thousands of devices at a time are shown a few times a second. */
const REST_PER_COMMAND_MS = 0.25;
const REST_MAX_MS = 250;

const CUSTOM: Ask = { key: 'custom', name: 'Command', ongoing: 'Sending…', done: 'Confirmed' };

interface Options {
  replyTopic: string;
  publish: (message: CommandMessage, id: string, shown: string) => Promise<PublishOutcome>;
  /** Told once per command, for assistive technology. */
  handleOutcome: (id: string, outcome: Outcome) => void;
}

export class CommandStore extends FrameStore<CommandsView> {
  readonly #options: Options;
  readonly #commands = new Map<string, Command>();
  /** What would confirm each pending command. */
  readonly #pending = new Map<string, Pending>();
  /** Who wants to be told of the last command to a device, if it is not `Options.handleOutcome`. */
  readonly #listeners = new Map<string, HandleOutcome>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #count = 0;

  constructor(options: Options) {
    super();
    this.#options = options;
  }

  /**
   * False, and nothing is sent, while an earlier command to the same device is pending. Who gives a function of his own
   * is told what becomes of it in the place of assistive technology.
   */
  send(device: Device, control: Control, value: FieldValue, handleOutcome?: HandleOutcome): boolean {
    const { topic, qos, retain, field, replies } = control;
    const payload = payloadOf(control, value);
    const confirmed = field === undefined ? undefined : { field, value };
    const pending = { replies, confirmed, shown: payloadText(control, value) ?? '' };
    const correlation = this.#begin(device.id, askOf(control), pending, handleOutcome);
    if (correlation === undefined) return false;
    if (payload === undefined) this.#settle(device.id, correlation, { phase: 'rejected', error: UNWRITABLE });
    else
      this.#publish(device.id, correlation, { topic, payload, qos, ...(retain ? { retain } : {}) }, pending);
    return true;
  }

  /** The same for a payload of the user's own; only a reply confirms it. */
  sendCustom(device: Device, payload: string, handleOutcome?: HandleOutcome): boolean {
    const topic = device.commandTopic;
    if (topic === undefined) return false;
    const pending = { replies: true, confirmed: undefined, shown: payload };
    const correlation = this.#begin(device.id, CUSTOM, pending, handleOutcome);
    if (correlation === undefined) return false;
    this.#publish(device.id, correlation, { topic, payload, qos: 1 }, pending);
    return true;
  }

  /** A reply that comes after the time-out still says what happened, so it still counts. */
  handleReply(reply: Reply, correlation: string | undefined, arrivedAt: number): void {
    const command = this.#commands.get(reply.deviceId);
    if (command?.correlation !== correlation || command === undefined) return;
    if (command.phase !== 'pending' && command.phase !== 'timed-out') return;
    const { result } = reply;
    this.#finish(
      reply.deviceId,
      command,
      result.ok
        ? { phase: 'confirmed', by: 'reply', tookMs: tookMs(command, arrivedAt) }
        : { phase: 'rejected', error: result.error },
    );
  }

  /**
   * What the device says of itself now: only what it published since, and not what was retained. Returns how long after
   * the command it came that did it.
   */
  handleUpdate(device: Device, arrivedAt: number): number | undefined {
    const pending = this.#pending.get(device.id);
    const command = this.#commands.get(device.id);
    if (pending?.confirmed === undefined || command?.phase !== 'pending') return undefined;
    const { field, value } = pending.confirmed;
    const now = fieldOf(device, field);
    if (now?.value !== value || now.at < command.sentAt) return undefined;
    const took = tookMs(command, arrivedAt);
    this.#finish(device.id, command, { phase: 'confirmed', by: 'state', tookMs: took });
    return took;
  }

  /** How long the answer took, if it is one to the last command. */
  latencyOf(id: string, correlation: string | undefined, arrivedAt: number): number | undefined {
    const command = this.#commands.get(id);
    return command === undefined || command.correlation !== correlation
      ? undefined
      : tookMs(command, arrivedAt);
  }

  handleDisconnected(): void {
    for (const [id, command] of this.#commands) {
      this.#settle(id, command.correlation, { phase: 'interrupted' });
    }
  }

  protected override restMs(): number {
    return Math.min(REST_MAX_MS, this.#commands.size * REST_PER_COMMAND_MS);
  }

  protected override view(): CommandsView {
    return new Map(this.#commands);
  }

  /** The command from now on, by what its answer is known; undefined while an earlier one is pending. */
  #begin(
    id: string,
    ask: Ask,
    pending: Pending,
    handleOutcome: HandleOutcome | undefined,
  ): string | undefined {
    if (this.#commands.get(id)?.phase === 'pending') return undefined;
    if (handleOutcome === undefined) this.#listeners.delete(id);
    else this.#listeners.set(id, handleOutcome);
    const correlation = `command-${++this.#count}`;
    this.#set(id, { phase: 'pending', ask, correlation, sentAt: Date.now() });
    this.#pending.set(id, pending);
    this.#schedule(id, REPLY_WITHIN_MS, () => {
      this.#settle(id, correlation, { phase: 'timed-out' });
    });
    return correlation;
  }

  #publish(id: string, correlation: string, message: Outgoing, { replies, shown }: Pending): void {
    const answer = replies ? { responseTopic: this.#options.replyTopic } : {};
    void this.#options.publish({ ...message, ...answer, correlation }, id, shown).then((outcome) => {
      this.#handlePublished(id, correlation, outcome);
    });
  }

  #handlePublished(id: string, correlation: string, outcome: PublishOutcome): void {
    switch (outcome.kind) {
      case 'accepted':
        if (this.#isLastWord(id)) this.#settle(id, correlation, { phase: 'delivered' });
        break;
      case 'unheard':
        this.#settle(id, correlation, { phase: 'unheard' });
        break;
      case 'refused':
        this.#settle(id, correlation, {
          phase: 'rejected',
          error: `the broker refused it: ${outcome.reason}`,
        });
        break;
      case 'interrupted':
        this.#settle(id, correlation, { phase: 'interrupted' });
        break;
    }
  }

  /** Nothing tells more than the broker's acknowledgement. */
  #isLastWord(id: string): boolean {
    const pending = this.#pending.get(id);
    return pending !== undefined && !pending.replies && pending.confirmed === undefined;
  }

  /** Ends the command, unless it ended already or another one took its place. */
  #settle(id: string, correlation: string, end: Ending): void {
    const command = this.#commands.get(id);
    if (command?.phase === 'pending' && command.correlation === correlation) this.#finish(id, command, end);
  }

  #finish(id: string, command: Command, end: Ending): void {
    const { ask, correlation, sentAt } = command;
    const outcome: Outcome = { ask, correlation, sentAt, ...end };
    this.#cancel(id);
    this.#pending.delete(id);
    this.#set(id, outcome);
    if (outcome.phase === 'confirmed' || outcome.phase === 'delivered') {
      this.#schedule(id, CONFIRMED_SHOWN_MS, () => {
        this.#commands.delete(id);
        this.#listeners.delete(id);
        this.changed();
      });
    }
    const listener = this.#listeners.get(id);
    if (listener === undefined) this.#options.handleOutcome(id, outcome);
    else listener(outcome);
  }

  #set(id: string, command: Command): void {
    this.#commands.set(id, command);
    this.changed();
  }

  #schedule(id: string, delay: number, act: () => void): void {
    this.#cancel(id);
    this.#timers.set(id, setTimeout(act, delay));
  }

  #cancel(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }
}

/** Until the answer reached the browser; when the page got to it is our own affair. */
function tookMs(command: Command, arrivedAt: number): number {
  return Math.max(0, arrivedAt - command.sentAt);
}

interface Pending {
  replies: boolean;
  /** The field, and the value that it would have to take. */
  confirmed: { field: string; value: FieldValue } | undefined;
  /** The payload as people read it. */
  shown: string;
}

function askOf(control: Control): Ask {
  const { key, label } = control;
  const words = control.kind === 'button' ? control.words : undefined;
  return {
    key,
    name: label,
    ongoing: words?.ongoing ?? 'Sending…',
    done: words?.done ?? `${label} confirmed`,
  };
}

/** How a command can end. */
export type Ending =
  | { phase: 'delivered' }
  | { phase: 'confirmed'; by: 'reply' | 'state'; tookMs: number }
  | { phase: 'rejected'; error: string }
  | { phase: 'unheard' }
  | { phase: 'timed-out' }
  | { phase: 'interrupted' };
