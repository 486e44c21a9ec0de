/**
 * The worker's half of the Explorer: hears what the page wants, puts messages into the tree, and tells the page of what
 * it looks at, ten times a second at most and only when there is something to tell.
 */
import type { Message } from '../../message/message.ts';
import type { Outgoing, PublishOutcome } from '../../mqtt/protocol.ts';
import { PAYLOAD_BYTES_MAX } from '../../message/message.ts';
import type { Clearing, FromTree, Order, Search, Source, Stats, ToTree, TopicChange } from '../protocol.ts';
import { ClearJob, isWhole, UNDO_MS } from './clearing.ts';
import { exported } from './export.ts';
import { Hold } from './hold.ts';
import { Outline } from './outline.ts';
import { RetainedFetch } from './retained-fetch.ts';
import { readSearch } from './search.ts';
import type { News, Update } from './topics-source.ts';
import type { Node } from './trie.ts';
import { topicsOf, Trie } from './trie.ts';

export const TELL_EVERY_MS = 100;
/** So long a search may keep the worker from its messages at a time. */
const EXAMINE_MS = 20;
/** Rates fall while nothing comes; the page is told of that for so long. */
const RATES_FADE_MS = 15_000;

type Wish = Exclude<ToTree, { kind: 'connect' | 'retry' | 'login' | 'filters' | 'source' }>;

/** What the desk asks of the connection. */
export interface Outside {
  publish: (message: Outgoing) => Promise<PublishOutcome>;
  /** All messages that match, until what is returned is called. */
  need: (filter: string) => () => void;
}

export class Desk {
  readonly #post: (message: FromTree) => void;
  readonly #outside: Outside;
  #source: Source = 'filters';
  #trie = new Trie();
  #outline = new Outline(this.#trie);
  readonly #watched = new Map<string, { told: number }>();
  readonly #touched = new Set<Node>();
  #window = { first: 0, count: 0 };
  #revealing: string | undefined;
  #search: Search | undefined;
  #order: Order = 'name';
  #examineTimer: ReturnType<typeof setTimeout> | undefined;
  #hold: Hold | undefined;
  #job: ClearJob | undefined;
  #clearing: Clearing | undefined;
  #hasClearingNews = false;
  #forgetTimer: ReturnType<typeof setTimeout> | undefined;
  #tellTimer: ReturnType<typeof setTimeout> | undefined;
  #cameAt = 0;
  #fetch: RetainedFetch | undefined;
  /** What the broker has no room for, and what it could not count. */
  #beyond = 0;
  #lost = 0;

  constructor(post: (message: FromTree) => void, outside: Outside) {
    this.#post = post;
    this.#outside = outside;
  }

  /** Begins with nothing, fed in this way. */
  setSource(source: Source): void {
    this.#source = source;
    this.#forget();
    this.#tell();
  }

  handleNews({ updates, gone, beyond, lost }: News): void {
    this.#cameAt = Date.now();
    for (const update of updates) {
      if (this.#hold === undefined) this.#update(update);
      else this.#hold.update(update);
    }
    for (const topic of gone) {
      if (this.#hold === undefined) this.#remove(topic);
      else this.#hold.remove(topic);
    }
    this.#beyond = Math.max(this.#beyond, beyond);
    this.#lost = Math.max(this.#lost, lost);
    this.#tellSoon();
  }

  add(message: Message): void {
    if (this.#fetch?.take(message) === true) return;
    this.#cameAt = message.at;
    if (this.#hold === undefined) this.#apply(message);
    else this.#hold.add(message);
    this.#tellSoon();
  }

  handle(wish: Wish): void {
    switch (wish.kind) {
      case 'window':
        this.#window = wish;
        break;
      case 'walk':
        this.#outline.walk(wish.step);
        break;
      case 'toggle':
        this.#outline.toggle(wish.path);
        break;
      case 'cursor':
        this.#outline.putCursor(wish.path);
        break;
      case 'where':
        this.#post({ kind: 'here', place: this.#outline.place });
        return;
      case 'reveal':
        // A topic of which nothing has come yet is revealed when it comes.
        this.#revealing = this.#outline.reveal(wish.path) ? undefined : wish.path;
        break;
      case 'search':
        this.#setSearch(wish.search);
        break;
      case 'order':
        this.#order = wish.order;
        this.#outline.setOrder(wish.order);
        break;
      case 'pause':
        this.#setPaused(wish.paused);
        break;
      case 'watch':
        this.#watched.set(wish.topic, { told: 0 });
        break;
      case 'unwatch':
        this.#watched.delete(wish.topic);
        return;
      case 'forget':
        this.#forget();
        break;
      case 'survey':
        this.#survey(wish.path);
        return;
      case 'clear':
        this.#clear(wish.path);
        return;
      case 'cancel':
        this.#job?.cancel();
        return;
      case 'undo':
        this.#undo();
        return;
      case 'export':
        this.#export(wish);
        return;
    }
    this.#tell();
  }

  /** Tells at once, before something else is told. */
  flush(): void {
    if (this.#tellTimer !== undefined) this.#tell();
  }

  #apply(message: Message): void {
    if (this.#source === 'filters') {
      this.#touch(this.#trie.add(message));
      return;
    }
    const watch = this.#watched.get(message.topic);
    if (watch === undefined) return;
    this.#touch(this.#trie.keep(message));
    // It may have taken the place of one that the page has.
    watch.told = Math.min(watch.told, message.seq - 1);
  }

  #update(update: Update): void {
    this.#touch(this.#trie.update(update, this.#watched.has(update.topic)));
  }

  #remove(topic: string): void {
    const removed = this.#trie.remove(topic);
    if (removed === undefined) return;
    this.#touched.delete(removed.node);
    this.#outline.handleGone(removed);
  }

  #touch(node: Node | undefined): void {
    if (node === undefined) return;
    this.#touched.add(node);
    if (node.path === this.#revealing && this.#outline.reveal(node.path)) this.#revealing = undefined;
  }

  #setSearch(search: Search | undefined): void {
    this.#search = search;
    const read = search === undefined || search.text === '' ? undefined : readSearch(search);
    this.#outline.search(read !== undefined && 'test' in read ? read.test : undefined);
    this.#post({
      kind: 'searched',
      problem: read !== undefined && 'problem' in read ? read.problem : undefined,
    });
  }

  /** A little now, the rest between messages. */
  #examine(): void {
    const until = Date.now() + EXAMINE_MS;
    this.#outline.examine(() => Date.now() >= until);
    if (this.#outline.unsearched === 0 || this.#examineTimer !== undefined) return;
    this.#examineTimer = setTimeout(() => {
      this.#examineTimer = undefined;
      this.#examine();
      this.#tellSoon();
    }, 0);
  }

  #setPaused(paused: boolean): void {
    if (paused) {
      this.#hold ??= new Hold();
      return;
    }
    const held = this.#hold?.release();
    this.#hold = undefined;
    for (const update of held?.updates ?? []) this.#update(update);
    for (const message of held?.messages ?? []) this.#apply(message);
    for (const topic of held?.gone ?? []) this.#remove(topic);
  }

  #forget(): void {
    this.#trie = new Trie();
    this.#outline = new Outline(this.#trie);
    this.#outline.setOrder(this.#order);
    this.#setSearch(this.#search);
    this.#touched.clear();
    [this.#beyond, this.#lost] = [0, 0];
    if (this.#hold !== undefined) this.#hold = new Hold();
    for (const watch of this.#watched.values()) watch.told = 0;
  }

  #tellSoon(): void {
    this.#tellTimer ??= setTimeout(() => {
      this.#tell();
    }, TELL_EVERY_MS);
  }

  #tell(): void {
    clearTimeout(this.#tellTimer);
    this.#tellTimer = undefined;
    const now = Date.now();
    this.#outline.handleTouched(this.#touched);
    this.#touched.clear();
    this.#examine();
    const { first, count } = this.#window;
    if (count > 0) {
      this.#post({ kind: 'rows', rows: this.#outline.window(first, count, now), stats: this.#stats(now) });
    }
    for (const [topic, watch] of this.#watched) this.#tellTopic(topic, watch);
    if (this.#hasClearingNews) this.#tellClearing();
    if (count > 0 && now - this.#cameAt < RATES_FADE_MS) this.#tellSoon();
  }

  #stats(now: number): Stats {
    const { root, beyond, keptBytes } = this.#trie;
    return {
      messages: root.messages,
      topics: root.topics,
      rate: root.rate(now),
      keptBytes,
      beyond: beyond + this.#beyond,
      lost: this.#lost,
      found: this.#outline.found,
      unsearched: this.#outline.unsearched,
      pause: this.#hold?.stats,
    };
  }

  #tellTopic(topic: string, watch: { told: number }): void {
    const node = this.#trie.find(topic);
    if (node === undefined || node.lastSeq === watch.told) return;
    const kept = node.kept;
    const change: TopicChange = {
      topic,
      keptFrom: kept[0]?.seq ?? 0,
      added: kept.filter(({ seq }) => seq > watch.told),
      total: Math.max(node.total, node.lastSeq),
    };
    watch.told = node.lastSeq;
    this.#post({ kind: 'topic', change });
  }

  #retained(path: string): Node[] {
    const node = this.#trie.find(path);
    return node === undefined ? [] : [...topicsOf(node)].filter(({ isRetained }) => isRetained);
  }

  #survey(path: string): void {
    const retained = this.#retained(path);
    // What the broker has told the beginning of is fetched before it is cleared.
    const isCut = ({ retained: message }: Node): boolean =>
      message !== undefined &&
      (message.bytes > PAYLOAD_BYTES_MAX || (this.#source === 'filters' && !isWhole(message)));
    const cut = retained.filter(isCut).length;
    this.#post({ kind: 'surveyed', survey: { path, retained: retained.length, cut } });
  }

  #clear(path: string): void {
    if (this.#clearing?.phase === 'clearing' || this.#clearing?.phase === 'restoring') return;
    clearTimeout(this.#forgetTimer);
    const job = new ClearJob(
      path,
      (message) => this.#publish(message),
      (clearing) => {
        this.#handleClearing(clearing);
      },
    );
    this.#job = job;
    const topics = this.#retained(path);
    if (this.#source === 'filters')
      void job.clear(
        topics.flatMap(({ retained }) => retained ?? []),
        Date.now,
      );
    else void this.#fetchAndClear(job, path, topics);
  }

  /** What the broker tells of a message is not enough to publish it again. */
  async #fetchAndClear(job: ClearJob, path: string, topics: readonly Node[]): Promise<void> {
    this.#handleClearing({
      path,
      phase: 'clearing',
      done: 0,
      total: topics.length,
      failed: 0,
      reason: undefined,
    });
    const fetched = new Promise<ReadonlyMap<string, Message>>((resolve) => {
      this.#fetch = new RetainedFetch(
        topics.map((node) => node.path),
        resolve,
      );
    });
    const stop = this.#outside.need(`${path}/#`);
    const messages = await fetched;
    stop();
    this.#fetch = undefined;
    await job.clear([...messages.values()], Date.now, topics.length - messages.size);
  }

  async #publish(message: Outgoing): Promise<PublishOutcome> {
    const outcome = await this.#outside.publish(message);
    const isCleared = message.retain === true && message.payload === '';
    // The broker says so too, a moment later; until then it would stand in the way of an undo.
    if (isCleared && this.#source === 'tree' && outcome.kind !== 'refused') this.#trie.clear(message.topic);
    return outcome;
  }

  #undo(): void {
    if (this.#clearing?.phase !== 'cleared') return;
    clearTimeout(this.#forgetTimer);
    const isReplaced = (message: Message): boolean => {
      const node = this.#trie.find(message.topic);
      return node?.isRetained === true && node.retained !== message;
    };
    void this.#job?.undo(isReplaced, Date.now);
  }

  #handleClearing(clearing: Clearing): void {
    this.#clearing = clearing;
    this.#hasClearingNews = true;
    if (clearing.phase === 'clearing' || clearing.phase === 'restoring') {
      this.#tellSoon();
      return;
    }
    this.#tellClearing();
    this.#forgetTimer = setTimeout(() => {
      this.#job = undefined;
      this.#clearing = undefined;
      this.#tellClearing();
    }, UNDO_MS);
  }

  #tellClearing(): void {
    this.#hasClearingNews = false;
    this.#post({ kind: 'clearing', clearing: this.#clearing });
  }

  #export({ id, path, format }: Extract<Wish, { kind: 'export' }>): void {
    const from = path === undefined ? this.#trie.root : this.#trie.find(path);
    const messages =
      from === undefined ? [] : [...this.#outline.topics(from)].flatMap(({ latest }) => latest ?? []);
    this.#post({ kind: 'exported', id, text: exported(messages, format), topics: messages.length });
  }
}
