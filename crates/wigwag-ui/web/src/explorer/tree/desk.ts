/**
 * The worker's half of the Explorer: hears what the page wants, puts messages into the tree, and tells the page of what
 * it looks at, ten times a second at most and only when there is something to tell.
 */
import type { Message } from '../../message/message.ts';
import type { Outgoing, PublishOutcome } from '../../mqtt/protocol.ts';
import type { Clearing, FromTree, Order, Search, Stats, ToTree, TopicChange } from '../protocol.ts';
import { ClearJob, isWhole, UNDO_MS } from './clearing.ts';
import { exported } from './export.ts';
import { Hold } from './hold.ts';
import { Outline } from './outline.ts';
import { readSearch } from './search.ts';
import type { Node } from './trie.ts';
import { topicsOf, Trie } from './trie.ts';

export const TELL_EVERY_MS = 100;
/** So long a search may keep the worker from its messages at a time. */
const EXAMINE_MS = 20;
/** Rates fall while nothing comes; the page is told of that for so long. */
const RATES_FADE_MS = 15_000;

type Wish = Exclude<ToTree, { kind: 'connect' | 'retry' | 'login' | 'filters' }>;

export class Desk {
  readonly #post: (message: FromTree) => void;
  readonly #publish: (message: Outgoing) => Promise<PublishOutcome>;
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

  constructor(post: (message: FromTree) => void, publish: (message: Outgoing) => Promise<PublishOutcome>) {
    this.#post = post;
    this.#publish = publish;
  }

  add(message: Message): void {
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
    const node = this.#trie.add(message);
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
    const held = this.#hold?.release() ?? [];
    this.#hold = undefined;
    for (const message of held) this.#apply(message);
  }

  #forget(): void {
    this.#trie = new Trie();
    this.#outline = new Outline(this.#trie);
    this.#outline.setOrder(this.#order);
    this.#setSearch(this.#search);
    this.#touched.clear();
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
      beyond,
      found: this.#outline.found,
      unsearched: this.#outline.unsearched,
      pause: this.#hold?.stats,
    };
  }

  #tellTopic(topic: string, watch: { told: number }): void {
    const node = this.#trie.find(topic);
    if (node === undefined || node.total === watch.told) return;
    const kept = node.kept;
    const change: TopicChange = {
      topic,
      keptFrom: kept[0]?.seq ?? 0,
      added: kept.filter(({ seq }) => seq > watch.told),
      total: node.total,
    };
    watch.told = node.total;
    this.#post({ kind: 'topic', change });
  }

  #retained(path: string): Message[] {
    const node = this.#trie.find(path);
    return node === undefined
      ? []
      : [...topicsOf(node)].flatMap(({ retained }) => (retained === undefined ? [] : [retained]));
  }

  #survey(path: string): void {
    const retained = this.#retained(path);
    const cut = retained.filter((message) => !isWhole(message)).length;
    this.#post({ kind: 'surveyed', survey: { path, retained: retained.length, cut } });
  }

  #clear(path: string): void {
    if (this.#clearing?.phase === 'clearing' || this.#clearing?.phase === 'restoring') return;
    clearTimeout(this.#forgetTimer);
    this.#job = new ClearJob(path, this.#publish, (clearing) => {
      this.#handleClearing(clearing);
    });
    void this.#job.clear(this.#retained(path), Date.now);
  }

  #undo(): void {
    if (this.#clearing?.phase !== 'cleared') return;
    clearTimeout(this.#forgetTimer);
    const isReplaced = (message: Message): boolean => {
      const retained = this.#trie.find(message.topic)?.retained;
      return retained !== undefined && retained !== message;
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
