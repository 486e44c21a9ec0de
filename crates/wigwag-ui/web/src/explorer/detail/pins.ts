/**
 * Numbers that are followed: places in the messages of a topic, and what was found there over time. Kept until the page
 * is closed, bounded, the oldest points going first.
 */
import { decodeNow, guess } from '../../message/decode.ts';
import type { Message, TopicView } from '../../message/message.ts';
import type { Path } from '../../message/path.ts';
import { formatPath, numberAt } from '../../message/path.ts';
import { FrameStore } from '../../ui/frame-store.ts';

export interface Pin {
  id: string;
  topic: string;
  path: Path;
  times: readonly number[];
  values: readonly number[];
  /** Messages that came and went while nobody looked, so that their numbers are not known. */
  missed: number;
}

export const PINS_MAX = 12;
export const POINTS_MAX = 2_000;

export class Pins extends FrameStore<readonly Pin[]> {
  #pins: Followed[] = [];

  /** False when there are as many as there may be. */
  add(topic: string, path: Path): boolean {
    if (this.has(topic, path)) return true;
    if (this.#pins.length >= PINS_MAX) return false;
    this.#pins.push(new Followed(topic, path));
    this.changed();
    return true;
  }

  remove(id: string): void {
    this.#pins = this.#pins.filter((pin) => pin.id !== id);
    this.changed();
  }

  has(topic: string, path: Path): boolean {
    return this.#pins.some(({ id }) => id === idOf(topic, path));
  }

  /** What there is to know of the pin's topic, as often as it changes; of Sparkplug the birth certificate too. */
  feed(id: string, view: TopicView, birth?: Message): void {
    if (this.#pins.find((pin) => pin.id === id)?.feed(view, birth) === true) this.changed();
  }

  protected override view(): readonly Pin[] {
    return this.#pins.map((pin) => pin.view());
  }
}

class Followed {
  readonly id: string;
  readonly topic: string;
  readonly path: Path;
  #times: number[] = [];
  #values: number[] = [];
  #missed = 0;
  #seen = 0;
  #view: Pin | undefined;

  constructor(topic: string, path: Path) {
    this.id = idOf(topic, path);
    this.topic = topic;
    this.path = path;
  }

  feed({ history, total }: TopicView, birth?: Message): boolean {
    // The tree has been emptied and counts from the beginning.
    if (total < this.#seen) this.#seen = 0;
    const fresh = history.filter(({ seq }) => seq > this.#seen);
    const [first] = fresh;
    if (first === undefined) return false;
    if (this.#seen > 0) this.#missed += first.seq - this.#seen - 1;
    for (const message of fresh) this.#take(message, birth);
    this.#seen = fresh.at(-1)?.seq ?? this.#seen;
    this.#view = undefined;
    return true;
  }

  view(): Pin {
    const { id, topic, path } = this;
    this.#view ??= {
      id,
      topic,
      path,
      times: this.#times.slice(-POINTS_MAX),
      values: this.#values.slice(-POINTS_MAX),
      missed: this.#missed,
    };
    return this.#view;
  }

  #take(message: Message, birth?: Message): void {
    const number = numberIn(message, this.path, birth);
    if (number === undefined) return;
    this.#times.push(message.at);
    this.#values.push(number);
    // Now and then, so that a point costs no copy of all.
    if (this.#times.length < 2 * POINTS_MAX) return;
    this.#times = this.#times.slice(-POINTS_MAX);
    this.#values = this.#values.slice(-POINTS_MAX);
  }
}

function numberIn(message: Message, path: Path, birth?: Message): number | undefined {
  const name = guess(message);
  if (name === 'gzip') return undefined;
  const decoded = decodeNow(name, message, birth);
  return decoded.kind === 'text' ? numberAt(decoded.value, path) : undefined;
}

function idOf(topic: string, path: Path): string {
  return `${topic}\n${formatPath(path)}`;
}
