/**
 * The topics as a tree, with what is counted and kept of each. Bounded in topics and in bytes: history gives way from its
 * oldest message on, and of the latest messages only the beginning is kept once they fill their share. Reads no clock.
 *
 * It is fed in one of two ways. Either every message is added, or the broker counts them and tells of the latest ones
 * (`update`), and only the messages of topics that are open come one by one (`keep`).
 */
import type { Message, Properties } from '../../message/message.ts';
import {
  HISTORY_BYTES_MAX,
  HISTORY_MAX,
  LATEST_BYTES_MAX,
  LEVELS_MAX,
  PATHS_CHARS_MAX,
  TOPICS_MAX,
} from '../protocol.ts';
import type { Update } from './topics-source.ts';

/** What a message costs beside its payload and its texts, roughly. */
const MESSAGE_BYTES = 256;
/** Of a payload, when there is no room for all. */
const CUT_BYTES = 256;
/** A rate follows a change within about this time. */
const RATE_OVER_MS = 4_000;

export class Node {
  readonly name: string;
  readonly parent: Node | undefined;
  readonly path: string;
  readonly depth: number;
  children: Map<string, Node> | undefined;
  #sorted: readonly Node[] | undefined;
  isOpen = false;
  /** At and below. */
  topics = 0;
  messages = 0;
  retainedTopics = 0;
  #rate = 0;
  #rateAt = 0;
  /** Of this topic itself. */
  total = 0;
  /** Oldest first, without the latest. */
  readonly history: Message[] = [];
  latest: Message | undefined;
  /** The latest one is what the broker tells of it: its beginning, without properties. */
  isTold = false;
  /** The number of the last message that is or was kept. */
  lastSeq = 0;
  isRetained = false;
  /** Absent as well where the broker says no more than that there is one. */
  retained: Message | undefined;

  constructor(name: string, parent: Node | undefined) {
    this.name = name;
    this.parent = parent;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
    this.path = parent === undefined || parent.depth === 0 ? name : `${parent.path}/${name}`;
  }

  /** By name, numbers by their value. */
  get sorted(): readonly Node[] {
    this.#sorted ??= [...(this.children?.values() ?? [])].sort(byName);
    return this.#sorted;
  }

  /** Those that are kept, oldest first. */
  get kept(): Message[] {
    return this.latest === undefined ? [] : [...this.history, this.latest];
  }

  child(name: string): Node {
    this.children ??= new Map();
    let child = this.children.get(name);
    if (child === undefined) {
      child = new Node(name, this);
      this.children.set(name, child);
      this.#sorted = undefined;
    }
    return child;
  }

  /** No longer has the child, and no place for it in the order. */
  drop(name: string): void {
    this.children?.delete(name);
    this.#sorted = undefined;
  }

  count(at: number, messages = 1, isRated = true): void {
    this.messages += messages;
    this.#rate = this.#rate * decay(at - this.#rateAt);
    if (isRated) this.#rate += (messages * 1_000) / RATE_OVER_MS;
    this.#rateAt = Math.max(this.#rateAt, at);
  }

  /** When the last message came, at or below. */
  get lastAt(): number {
    return this.#rateAt;
  }

  /** Messages per second. */
  rate(now: number): number {
    return this.#rate * decay(now - this.#rateAt);
  }
}

export class Trie {
  root = new Node('', undefined);
  /** Grows whenever there is another node. */
  version = 0;
  beyond = 0;
  #historyBytes = 0;
  #latestBytes = 0;
  #historyCount = 0;
  /** Of all nodes: a topic may have 65,535 bytes. */
  #pathChars = 0;
  /** Of all topics, in the order in which they became history. */
  readonly #aging = new Queue<Aged>();

  get keptBytes(): number {
    return this.#historyBytes + this.#latestBytes;
  }

  /** The node, unless there is no room for another topic. Numbers the message. */
  add(message: Message): Node | undefined {
    const node = this.#nodeFor(message.topic);
    if (node === undefined) {
      this.beyond += 1;
      return undefined;
    }
    count(node, message.at, 1, true);
    message.seq = node.lastSeq = node.total;
    this.#keep(node, message);
    if (message.retain) this.#retain(node, message.bytes > 0, message);
    return node;
  }

  /** What the broker says of a topic. The messages of one that is open come by themselves. */
  update(
    { topic, count: messages, isRated, isRetained, message }: Update,
    isOpen: boolean,
  ): Node | undefined {
    const node = message === undefined ? this.find(topic) : this.#nodeFor(topic);
    if (node === undefined) {
      this.beyond += messages;
      return undefined;
    }
    if (message !== undefined) {
      // Of one that was forgotten here, the broker has no news to tell.
      const isNew = node.total === 0;
      if (messages > 0 || isNew) count(node, message.at, Math.max(1, messages), isRated && messages > 0);
      if (!isOpen || node.isTold || node.latest === undefined) this.#tell(node, message);
    }
    const retained = isRetained && message?.retain === true ? message : undefined;
    if (isRetained !== node.isRetained || retained !== undefined) this.#retain(node, isRetained, retained);
    return node;
  }

  /**
   * A message of an open topic, in the place of what the broker has told if it is the same: then it has the number of
   * that.
   */
  keep(message: Message): Node | undefined {
    const node = this.#nodeFor(message.topic);
    if (node === undefined) return undefined;
    const told = node.isTold ? node.latest : undefined;
    node.isTold = false;
    if (told === undefined) {
      message.seq = ++node.lastSeq;
      this.#keep(node, message);
      return node;
    }
    const isSame = isBeginningOf(told, message);
    // What is retained is older than what has been told since.
    const isOlder = message.retain && node.isRetained && !told.retain;
    if (!isSame && !isOlder) {
      message.seq = ++node.lastSeq;
      this.#keep(node, message);
      return node;
    }
    this.#latestBytes -= costOf(told);
    node.latest = undefined;
    message.seq = told.seq;
    this.#keep(node, isSame ? { ...message, at: told.at } : message);
    if (!isSame) this.#keep(node, { ...told, seq: ++node.lastSeq });
    return node;
  }

  /** The retained message of this topic is gone, as far as we know. */
  clear(topic: string): void {
    const node = this.find(topic);
    if (node?.isRetained === true) this.#retain(node, false, undefined);
  }

  /** Forgets a topic, and the branches that were there for nothing else. The first node above that is still there. */
  remove(topic: string): { node: Node; above: Node } | undefined {
    const node = this.find(topic);
    if (node === undefined || node.total === 0) return undefined;
    if (node.isRetained) this.#retain(node, false, undefined);
    while (node.history.length > 0) this.#dropOldest(node);
    if (node.latest !== undefined) this.#latestBytes -= costOf(node.latest);
    node.latest = undefined;
    const { total } = node;
    node.total = 0;
    for (const above of upwards(node)) {
      above.topics -= 1;
      above.messages -= total;
    }
    let above = node;
    while (above.parent !== undefined && above.total === 0 && (above.children?.size ?? 0) === 0) {
      above.parent.drop(above.name);
      this.#pathChars -= above.path.length;
      above = above.parent;
    }
    this.version += 1;
    return { node, above };
  }

  find(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    for (const level of path.split('/')) node = node?.children?.get(level);
    return node;
  }

  #nodeFor(topic: string): Node | undefined {
    const levels = topic.split('/');
    if (levels.length > LEVELS_MAX) return this.#known(levels);
    if (this.root.topics >= TOPICS_MAX || this.#pathChars >= PATHS_CHARS_MAX) return this.#known(levels);
    let node = this.root;
    for (const level of levels) {
      const isNew = node.children?.has(level) !== true;
      node = node.child(level);
      if (!isNew) continue;
      this.version += 1;
      this.#pathChars += node.path.length;
    }
    return node;
  }

  /** Without making a new one. A branch that has had no message of its own is none yet. */
  #known(levels: readonly string[]): Node | undefined {
    let node: Node | undefined = this.root;
    for (const level of levels) node = node?.children?.get(level);
    return node === undefined || node.total === 0 ? undefined : node;
  }

  #keep(node: Node, message: Message): void {
    const before = node.latest;
    if (before !== undefined) this.#age(node, before);
    if (this.#latestBytes + costOf(message) > LATEST_BYTES_MAX) {
      message.payload = message.payload.slice(0, CUT_BYTES);
    }
    node.latest = message;
    this.#latestBytes += costOf(message);
  }

  /** What is told is no history: there were others in between. */
  #tell(node: Node, message: Message): void {
    if (node.isTold && node.latest !== undefined) {
      this.#latestBytes -= costOf(node.latest);
      node.latest = undefined;
    }
    node.isTold = true;
    message.seq = node.lastSeq = Math.max(node.lastSeq + 1, node.total);
    this.#keep(node, message);
  }

  /** A retained message without payload takes the one before it away. */
  #retain(node: Node, has: boolean, message: Message | undefined): void {
    // It stays when it is history no more, and counts with the latest ones.
    if (node.retained !== undefined) this.#latestBytes -= costOf(node.retained);
    node.retained = has ? message : undefined;
    if (node.retained !== undefined) this.#latestBytes += costOf(node.retained);
    if (node.isRetained !== has) for (const above of upwards(node)) above.retainedTopics += has ? 1 : -1;
    node.isRetained = has;
  }

  #age(node: Node, message: Message): void {
    this.#latestBytes -= costOf(message);
    this.#historyBytes += costOf(message);
    this.#historyCount += 1;
    node.history.push(message);
    this.#aging.push({ node, seq: message.seq });
    if (node.history.length >= HISTORY_MAX) this.#dropOldest(node);
    // What a topic has dropped by itself still stands in line.
    if (this.#aging.length > 2 * this.#historyCount + 1_024) this.#aging.keepOnly(isKept);
    while (this.#historyBytes > HISTORY_BYTES_MAX) {
      const oldest = this.#aging.shift();
      if (oldest === undefined) return;
      if (oldest.node.history[0]?.seq === oldest.seq) this.#dropOldest(oldest.node);
    }
  }

  #dropOldest(node: Node): void {
    const dropped = node.history.shift();
    if (dropped === undefined) return;
    this.#historyBytes -= costOf(dropped);
    this.#historyCount -= 1;
  }
}

interface Aged {
  node: Node;
  seq: number;
}

function isKept({ node, seq }: Aged): boolean {
  return seq >= (node.history[0]?.seq ?? Infinity);
}

/** First in, first out, without moving all the others each time. */
class Queue<Item> {
  #items: Item[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  keepOnly(wanted: (item: Item) => boolean): void {
    this.#items = this.#items.slice(this.#head).filter(wanted);
    this.#head = 0;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head += 1;
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** The node itself and all above it. */
export function* upwards(node: Node): Generator<Node> {
  for (let at: Node | undefined = node; at !== undefined; at = at.parent) yield at;
}

/** The node itself, if it has had messages, and all such nodes below it, in the order of the tree. */
export function* topicsOf(node: Node): Generator<Node> {
  const waiting = [node];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (at.total > 0) yield at;
    for (let index = at.sorted.length - 1; index >= 0; index--) {
      const child = at.sorted[index];
      if (child !== undefined) waiting.push(child);
    }
  }
}

function count(node: Node, at: number, messages: number, isRated: boolean): void {
  if (node.total === 0) for (const above of upwards(node)) above.topics += 1;
  node.total += messages;
  for (const above of upwards(node)) above.count(at, messages, isRated);
}

function isBeginningOf(told: Message, message: Message): boolean {
  return (
    told.bytes === message.bytes &&
    told.payload.length <= message.payload.length &&
    told.payload.every((byte, index) => byte === message.payload[index])
  );
}

function costOf({ payload, topic, properties }: Message): number {
  return payload.length + topic.length + costOfProperties(properties) + MESSAGE_BYTES;
}

function costOfProperties({
  contentType,
  responseTopic,
  correlationData,
  userProperties,
}: Properties): number {
  const texts = [contentType, responseTopic, ...(userProperties ?? []).flat()];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), correlationData?.length ?? 0);
}

function decay(ms: number): number {
  return Math.exp(-Math.max(0, ms) / RATE_OVER_MS);
}

const collator = new Intl.Collator('en', { numeric: true });

/** The second comparison tells names apart that look the same to a reader. */
function byName(left: Node, right: Node): number {
  return collator.compare(left.name, right.name) || (left.name < right.name ? -1 : 1);
}
