/**
 * The commands sent and what became of them, one per device at a time: pending, then confirmed by the device's reply or
 * its new state, rejected, timed out, or cut off with the connection. Publishes through the function it is given.
 */
import type { Outgoing, PublishOutcome } from '../mqtt/protocol.ts';
import { FrameStore } from '../ui/frame-store.ts';
import { commandPayload, commandTopic, statusAfter } from './contract.ts';
import type { Action, Reply, Status } from './contract.ts';

/** What was asked for: one of the actions that every device knows, or something in the user's own words. */
export type Ask = Action | 'custom';

export type Command = { action: Ask; correlation: string; sentAt: number } & (
  | { phase: 'pending' }
  | { phase: 'confirmed'; by: 'reply' | 'state'; tookMs: number }
  | { phase: 'rejected'; error: string }
  | { phase: 'timed-out' }
  | { phase: 'interrupted' }
);

export type CommandMessage = Outgoing & { payload: string; correlation: string };
export type Outcome = Exclude<Command, { phase: 'pending' }>;
export type CommandsView = ReadonlyMap<string, Command>;

export const REPLY_WITHIN_MS = 5_000;
/** Good news goes by itself; a failure stays until the next command. */
export const CONFIRMED_SHOWN_MS = 4_000;

interface Options {
  replyTopic: string;
  publish: (message: CommandMessage, id: string) => Promise<PublishOutcome>;
  /** Told once per command, for assistive technology. */
  handleOutcome: (id: string, outcome: Outcome) => void;
}

export class CommandStore extends FrameStore<CommandsView> {
  readonly #options: Options;
  readonly #commands = new Map<string, Command>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #count = 0;

  constructor(options: Options) {
    super();
    this.#options = options;
  }

  /** Does nothing while an earlier command to the same device is pending. */
  send(id: string, action: Action): void {
    this.#send(id, action, commandPayload(action));
  }

  /** The same for a payload of the user's own; only a reply confirms it. */
  sendCustom(id: string, payload: string): void {
    this.#send(id, 'custom', payload);
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

  /** Only for states published since, not for retained ones. Returns how long after the command it came that did it. */
  handleState(id: string, status: Status, arrivedAt: number): number | undefined {
    const command = this.#commands.get(id);
    if (command?.phase !== 'pending' || command.action === 'custom') return undefined;
    if (statusAfter(command.action) !== status) return undefined;
    const took = tookMs(command, arrivedAt);
    this.#finish(id, command, { phase: 'confirmed', by: 'state', tookMs: took });
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

  protected override view(): CommandsView {
    return new Map(this.#commands);
  }

  #send(id: string, action: Ask, payload: string): void {
    if (this.#commands.get(id)?.phase === 'pending') return;
    const correlation = `command-${++this.#count}`;
    this.#set(id, { phase: 'pending', action, correlation, sentAt: Date.now() });
    this.#schedule(id, REPLY_WITHIN_MS, () => {
      this.#settle(id, correlation, { phase: 'timed-out' });
    });
    const message: CommandMessage = {
      topic: commandTopic(id),
      payload,
      qos: 1,
      responseTopic: this.#options.replyTopic,
      correlation,
    };
    void this.#options.publish(message, id).then((outcome) => {
      this.#handlePublished(id, correlation, outcome);
    });
  }

  #handlePublished(id: string, correlation: string, outcome: PublishOutcome): void {
    switch (outcome.kind) {
      case 'accepted':
        break;
      case 'unheard':
        this.#settle(id, correlation, { phase: 'rejected', error: 'no device is listening for commands' });
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

  /** Ends the command, unless it ended already or another one took its place. */
  #settle(id: string, correlation: string, end: Ending): void {
    const command = this.#commands.get(id);
    if (command?.phase === 'pending' && command.correlation === correlation) this.#finish(id, command, end);
  }

  #finish(id: string, command: Command, end: Ending): void {
    const { action, correlation, sentAt } = command;
    const outcome: Outcome = { action, correlation, sentAt, ...end };
    this.#cancel(id);
    this.#set(id, outcome);
    if (outcome.phase === 'confirmed') {
      this.#schedule(id, CONFIRMED_SHOWN_MS, () => {
        this.#commands.delete(id);
        this.changed();
      });
    }
    this.#options.handleOutcome(id, outcome);
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

type Ending =
  | { phase: 'confirmed'; by: 'reply' | 'state'; tookMs: number }
  | { phase: 'rejected'; error: string }
  | { phase: 'timed-out' }
  | { phase: 'interrupted' };
