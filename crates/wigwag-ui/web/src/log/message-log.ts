/**
 * The last messages in both directions, bounded in number and size. Pausing holds the picture still while collecting
 * goes on. Keeps text as text; what it means is not its business.
 */
import { FrameStore } from '../ui/frame-store.ts';

export interface LogEntry {
  /** Counts up from 1 for the life of the page, and down from 0 for what was before it. */
  seq: number;
  at: number;
  direction: 'in' | 'out';
  topic: string;
  /** The beginning of the payload, at most {@link TEXT_CHARS_MAX} characters. */
  text: string;
  /** Size of the whole payload. */
  bytes: number;
  retain: boolean;
  qos: 0 | 1 | 2;
  /** Why the message could not be used, if so. */
  problem: string | undefined;
  /** How long after the command that it answers. */
  latencyMs?: number | undefined;
}

export interface LogView {
  /** Oldest first. */
  entries: readonly LogEntry[];
  /** All messages since the page was opened or the log cleared, and those from before that were found, kept or not. */
  total: number;
  invalid: number;
  paused: boolean;
  /** Messages collected since the pause began. */
  held: number;
}

export const ENTRIES_MAX = 1_000;
export const TEXT_CHARS_MAX = 4_096;
/** Each view draws all rows anew, and the more there was new in it, the longer nobody has read it. */
const REST_PER_MESSAGE_MS = 5;
const REST_MAX_MS = 250;

export class MessageLog extends FrameStore<LogView> {
  #entries: LogEntry[] = [];
  #seq = 0;
  /** The number of the next one from before. */
  #seqPast = 0;
  #seqShown = 0;
  #newInView = 0;
  #total = 0;
  #invalid = 0;
  #frozen: { entries: readonly LogEntry[]; total: number } | undefined;

  add(entry: Omit<LogEntry, 'seq'>): void {
    this.#entries.push({ ...entry, text: cut(entry.text), seq: ++this.#seq });
    if (this.#entries.length > ENTRIES_MAX) this.#entries.shift();
    this.#total += 1;
    if (entry.problem !== undefined) this.#invalid += 1;
    this.changed();
  }

  /** Messages from before the first one that is here, in the order in which they came. The oldest may find no place. */
  addPast(entries: readonly Omit<LogEntry, 'seq'>[]): void {
    const first = this.#entries[0]?.at ?? Infinity;
    const older = entries.filter(({ at }) => at < first);
    this.#total += older.length;
    const kept = older.slice(Math.max(0, older.length - (ENTRIES_MAX - this.#entries.length)));
    this.#seqPast -= kept.length;
    this.#entries = [
      ...kept.map((entry, index) => ({ ...entry, text: cut(entry.text), seq: this.#seqPast + index + 1 })),
      ...this.#entries,
    ];
    this.changed();
  }

  /** Messages that came too fast to be looked at, but did come. */
  addSkipped(count: number): void {
    if (count === 0) return;
    this.#total += count;
    this.changed();
  }

  pause(): void {
    this.#frozen ??= { entries: [...this.#entries], total: this.#total };
    this.changedByHand();
  }

  resume(): void {
    this.#frozen = undefined;
    this.changedByHand();
  }

  clear(): void {
    this.#entries = [];
    this.#total = 0;
    this.#invalid = 0;
    if (this.#frozen !== undefined) this.#frozen = { entries: [], total: 0 };
    this.changedByHand();
  }

  protected override restMs(): number {
    return Math.min(REST_MAX_MS, this.#newInView * REST_PER_MESSAGE_MS);
  }

  protected override view(): LogView {
    this.#newInView = this.#seq - this.#seqShown;
    this.#seqShown = this.#seq;
    return {
      entries: this.#frozen?.entries ?? [...this.#entries],
      total: this.#total,
      invalid: this.#invalid,
      paused: this.#frozen !== undefined,
      held: this.#frozen === undefined ? 0 : this.#total - this.#frozen.total,
    };
  }
}

function cut(text: string): string {
  return text.length <= TEXT_CHARS_MAX ? text : text.slice(0, TEXT_CHARS_MAX);
}
