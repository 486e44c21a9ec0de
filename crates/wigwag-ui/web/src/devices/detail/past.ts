/**
 * What of a device was recorded by the broker, read for as far back as somebody looks: newest first, so that what is
 * nearest is there first. Spans that the page was connected in are known already; what it has missed is read too.
 */
import { Refusal } from '../../api.ts';
import type { LogEntry } from '../../log/message-log.ts';
import type { Incoming } from '../../mqtt/protocol.ts';
import { FrameStore } from '../../ui/frame-store.ts';
import type { DeviceRecord } from './device-record.ts';
import type { ReadPage, Span } from './recording.ts';
import { joined, missing } from './spans.ts';

export interface PastView {
  phase: 'idle' | 'reading' | 'failed' | 'refused';
  /** Why it failed, or why there is nothing to read. */
  reason: string | undefined;
  /** The broker keeps nothing older. */
  recordedSince: number | undefined;
  /** Whether the broker records any of the topics, as far as is known. */
  isRecorded: boolean;
  /** Older values are recorded and have no place here. */
  isCut: boolean;
  /** Topics beyond {@link TOPICS_MAX}. */
  beyond: number;
}

export interface PastTools {
  /** Those of the device, the most telling first. */
  topics: readonly string[];
  record: DeviceRecord;
  readPage: ReadPage;
  /** The numbers in a message, by the keys of their fields. */
  numbersIn: (message: Incoming) => readonly (readonly [key: string, value: number])[];
}

/** More would keep the broker busy for little. */
export const TOPICS_MAX = 16;
const MINUTE_MS = 60_000;
const FIRST_STEP_MS = 10 * MINUTE_MS;
const STEP_MIN_MS = MINUTE_MS / 8;
const STEP_MAX_MS = 240 * MINUTE_MS;
/** Of a span with many more, the next one is shorter; of one with fewer, longer. */
const MESSAGES_PER_STEP = 4_000;
/** Of one topic: what is more is not held, but read in shorter spans. */
export const MESSAGES_MAX = 50_000;
const SHORTER = 16;

export class Past extends FrameStore<PastView> {
  readonly #tools: PastTools;
  readonly #topics: readonly string[];
  #known: Span[] = [];
  #wanted: Span | undefined;
  #live: Span | undefined;
  #phase: PastView['phase'] = 'idle';
  #reason: string | undefined;
  #recordedSince: number | undefined;
  readonly #unrecorded = new Set<string>();
  #isCut = false;
  #stopped = new AbortController();

  constructor(tools: PastTools) {
    super();
    this.#tools = tools;
    this.#topics = tools.topics.slice(0, TOPICS_MAX);
  }

  /** Somebody looks at this span, of which the page itself has heard everything from `liveFrom` on. */
  look(span: Span, liveFrom: number): void {
    this.#wanted = span;
    this.#live = { from: liveFrom, to: Infinity };
    if (this.#phase === 'idle' && this.#next(FIRST_STEP_MS) !== undefined) void this.#read();
  }

  /** After a failure; a refusal may be another by now, too. */
  tryAgain(): void {
    if (this.#phase !== 'failed' && this.#phase !== 'refused') return;
    this.#unrecorded.clear();
    this.#setPhase('idle');
    void this.#read();
  }

  /** Nobody looks any more: what is on its way is let go. */
  stop(): void {
    this.#wanted = undefined;
    this.#stopped.abort();
    this.#stopped = new AbortController();
    if (this.#phase === 'reading') this.#setPhase('idle');
  }

  protected override view(): PastView {
    return {
      phase: this.#phase,
      reason: this.#reason,
      recordedSince: this.#recordedSince,
      isRecorded: this.#unrecorded.size < this.#topics.length,
      isCut: this.#isCut,
      beyond: this.#tools.topics.length - this.#topics.length,
    };
  }

  async #read(): Promise<void> {
    const stopped = this.#stopped.signal;
    let stepMs = FIRST_STEP_MS;
    try {
      for (let span = this.#next(stepMs); span !== undefined; span = this.#next(stepMs)) {
        this.#setPhase('reading');
        const count = await this.#readSpan(span, stopped);
        if (count === undefined) stepMs = Math.max(STEP_MIN_MS, stepMs / SHORTER);
        else if (count > MESSAGES_PER_STEP) stepMs = Math.max(STEP_MIN_MS, stepMs / 2);
        else stepMs = Math.min(2 * stepMs, STEP_MAX_MS);
      }
      this.#setPhase('idle');
    } catch (error) {
      // Who has stopped it has said what is next.
      if (stopped.aborted) return;
      const isRefused = error instanceof Refusal && error.status < 500;
      this.#setPhase(
        isRefused ? 'refused' : 'failed',
        error instanceof Error ? error.message : String(error),
      );
    }
  }

  /** The latest part of what is missing. */
  #next(stepMs: number): Span | undefined {
    if (this.#wanted === undefined || this.#live === undefined) return undefined;
    const [span] = missing(this.#wanted, [...this.#known, this.#live]);
    if (span === undefined) return undefined;
    return { from: Math.max(span.from, span.to - stepMs), to: span.to };
  }

  /** The number of messages; nothing when they were too many to be taken at a time. */
  async #readSpan(span: Span, stopped: AbortSignal): Promise<number | undefined> {
    let messages: Incoming[] = [];
    for (const topic of this.#topics) {
      if (this.#unrecorded.has(topic)) continue;
      const some = await this.#readTopic(topic, span, stopped);
      if (some === undefined) return undefined;
      messages = messages.concat(some);
    }
    if (this.#topics.length > 1) messages.sort((a, b) => a.at - b.at);
    this.#take(messages);
    this.#known = joined([...this.#known, span]);
    if (this.#recordedSince !== undefined && span.from <= this.#recordedSince) {
      this.#known = joined([...this.#known, { from: 0, to: span.from }]);
    }
    if (this.#tools.record.isFull) {
      this.#isCut = true;
      this.#known = joined([...this.#known, { from: 0, to: span.from }]);
    }
    this.changed();
    return messages.length;
  }

  async #readTopic(
    topic: string,
    { from, to }: Span,
    stopped: AbortSignal,
  ): Promise<readonly Incoming[] | undefined> {
    const all: Incoming[] = [];
    let next: number | undefined = from;
    while (next !== undefined) {
      const begin: number = next;
      const page = await this.#tools.readPage(topic, { from: begin, to }, stopped);
      stopped.throwIfAborted();
      if (all.length + page.messages.length > MESSAGES_MAX && to - from > STEP_MIN_MS) return undefined;
      all.push(...page.messages);
      if (page.recordedSince !== undefined) this.#recordedSince = page.recordedSince;
      // What was recorded once may still be there.
      if (!page.isRecorded && page.messages.length === 0) this.#unrecorded.add(topic);
      // A server that does not get on is not asked for ever.
      next = page.next !== undefined && page.next > begin ? page.next : undefined;
    }
    return all;
  }

  #take(messages: readonly Incoming[]): void {
    const series = new Map<string, { times: number[]; values: number[] }>();
    for (const message of messages) {
      for (const [key, value] of this.#tools.numbersIn(message)) {
        const one = series.get(key) ?? { times: [], values: [] };
        one.times.push(message.at);
        one.values.push(value);
        series.set(key, one);
      }
    }
    this.#tools.record.addPast(series, messages.map(entryOf));
  }

  #setPhase(phase: PastView['phase'], reason?: string): void {
    this.#phase = phase;
    this.#reason = reason;
    this.changed();
  }
}

function entryOf({ at, topic, text, bytes, retain, qos }: Incoming): Omit<LogEntry, 'seq'> {
  return { at, direction: 'in', topic, text, bytes, retain, qos, problem: undefined };
}
