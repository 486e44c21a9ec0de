/**
 * The Explorer's state on the page: what its worker has last said, and the topics that are open. Outlives the screen, so
 * that the tree is still there when somebody comes back; owns no connection, the worker does.
 */
import type { ConnectionView } from '../mqtt/connection.ts';
import { randomClientId } from '../mqtt/connection.ts';
import type { LinkStatus } from '../mqtt/protocol.ts';
import { FrameStore } from '../ui/frame-store.ts';
import type {
  Clearing,
  ExportFormat,
  FromTree,
  Order,
  Place,
  Rows,
  Search,
  Source,
  Stats,
  Step,
  Survey,
  ToTree,
  TreeStatus,
} from './protocol.ts';
import { TopicStore } from './topic-store.ts';

export interface TreePort {
  post: (message: ToTree) => void;
  listen: (listener: (message: FromTree) => void) => void;
  /** Ends the worker, and its connections with it. */
  end: () => void;
}

/** The page's own connection: which broker it is, and as whom. */
export interface Home {
  readonly subscribe: (listener: () => void) => () => void;
  readonly snapshot: () => ConnectionView;
  readonly credentials: { userName: string; password: string } | undefined;
  /** How often it was to begin anew as somebody. */
  readonly logins?: number;
}

export interface ExplorerView {
  /** Where the tree comes from; without the broker's own interface always from filters. */
  source: Source;
  status: LinkStatus | undefined;
  /** Of the broker's own tree, while that is shown. */
  tree: TreeStatus | undefined;
  /** Since when the tree may be outdated. */
  downSince: number | undefined;
  filters: readonly string[];
  search: Search | undefined;
  /** Why there is no such search. */
  searchProblem: string | undefined;
  order: Order;
  isPaused: boolean;
  rows: Rows;
  stats: Stats;
  survey: Survey | undefined;
  clearing: Clearing | undefined;
}

interface Exported {
  text: string[];
  topics: number;
}

const NO_ROWS: Rows = { first: 0, total: 0, rows: [], cursor: undefined };
const NO_STATS: Stats = {
  messages: 0,
  topics: 0,
  rate: 0,
  keptBytes: 0,
  beyond: 0,
  lost: 0,
  found: undefined,
  unsearched: 0,
  pause: undefined,
};

export function openTreeWorker(): TreePort {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'explorer' });
  return {
    post: (message) => {
      worker.postMessage(message);
    },
    listen: (listener) => {
      worker.addEventListener('message', (event: MessageEvent<FromTree>) => {
        listener(event.data);
      });
    },
    end: () => {
      worker.terminate();
    },
  };
}

export class Explorer extends FrameStore<ExplorerView> {
  readonly #openPort: () => TreePort;
  readonly #home: Home;
  readonly #api: string | undefined;
  readonly #topics = new Map<string, { store: TopicStore; watchers: number }>();
  readonly #exports = new Map<number, (exported: Exported) => void>();
  /** Answered in the order in which they asked. */
  readonly #asking: ((place: Place | undefined) => void)[] = [];
  #port: TreePort | undefined;
  #identity: { url: string; userName: string | undefined; logins: number | undefined } | undefined;
  #lastExport = 0;
  #view: ExplorerView = {
    source: 'filters',
    status: undefined,
    tree: undefined,
    downSince: undefined,
    filters: [],
    search: undefined,
    searchProblem: undefined,
    order: 'name',
    isPaused: false,
    rows: NO_ROWS,
    stats: NO_STATS,
    survey: undefined,
    clearing: undefined,
  };

  /** `api` is the address of the broker's own interface, if it has one. */
  constructor(openPort: () => TreePort, home: Home, api?: string) {
    super();
    this.#openPort = openPort;
    this.#home = home;
    this.#api = api;
    if (api !== undefined) this.#view = { ...this.#view, source: 'tree' };
  }

  /** The broker can tell of its topics by itself. */
  get hasTree(): boolean {
    return this.#api !== undefined;
  }

  /** Shows the tree that the broker keeps. */
  showTree(): void {
    if (!this.hasTree || (this.#view.source === 'tree' && this.#port !== undefined)) return;
    this.#setSource('tree');
    this.#connected();
  }

  /** Subscribes, to what is yet to be chosen. */
  showFilters(): void {
    if (this.#view.source === 'tree') this.#setSource('filters');
  }

  /** There is no connection before the first filter. */
  setFilters(filters: string[]): void {
    if (filters.length > 0) this.showFilters();
    this.#set({ filters });
    if (this.#port === undefined && filters.length === 0) return;
    this.#connected().post({ kind: 'filters', filters });
  }

  setWindow(first: number, count: number): void {
    this.#port?.post({ kind: 'window', first, count });
  }

  walk(step: Step): void {
    this.#port?.post({ kind: 'walk', step });
  }

  toggle(path: string): void {
    this.#port?.post({ kind: 'toggle', path });
  }

  putCursor(path: string): void {
    this.#port?.post({ kind: 'cursor', path });
  }

  /** The page's own view of the cursor may be a few steps behind; what acts on it must not be. */
  where(): Promise<Place | undefined> {
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      this.#port?.post({ kind: 'where' });
    });
  }

  reveal(path: string): void {
    this.#port?.post({ kind: 'reveal', path });
  }

  setSearch(search: Search | undefined): void {
    this.#set({ search });
    this.#port?.post({ kind: 'search', search });
  }

  setOrder(order: Order): void {
    this.#set({ order });
    this.#port?.post({ kind: 'order', order });
  }

  setPaused(paused: boolean): void {
    this.#set({ isPaused: paused });
    this.#port?.post({ kind: 'pause', paused });
  }

  /** Empties the tree; what comes from then on fills it again. */
  forget(): void {
    for (const { store } of this.#topics.values()) store.forget();
    this.#port?.post({ kind: 'forget' });
  }

  /** For good. */
  end(): void {
    this.#port?.end();
    this.#port = undefined;
  }

  retry(): void {
    this.#port?.post({ kind: 'retry' });
  }

  survey(path: string): void {
    this.#set({ survey: undefined });
    this.#port?.post({ kind: 'survey', path });
  }

  clear(path: string): void {
    this.#port?.post({ kind: 'clear', path });
  }

  cancelClearing(): void {
    this.#port?.post({ kind: 'cancel' });
  }

  undoClearing(): void {
    this.#port?.post({ kind: 'undo' });
  }

  /** The latest message of each topic at and below the path, or of the whole tree; only those that a search has found. */
  export(path: string | undefined, format: ExportFormat): Promise<Exported> {
    const id = ++this.#lastExport;
    return new Promise((resolve) => {
      this.#exports.set(id, resolve);
      this.#connected().post({ kind: 'export', id, path, format });
    });
  }

  /** The messages of a topic, the same store for all who ask. Fed while somebody watches. */
  topic(topic: string): TopicStore {
    return this.#entry(topic).store;
  }

  /** Until what is returned is called. */
  watch(topic: string): () => void {
    const entry = this.#entry(topic);
    entry.watchers += 1;
    if (entry.watchers === 1) this.#port?.post({ kind: 'watch', topic });
    return () => {
      entry.watchers -= 1;
      if (entry.watchers > 0) return;
      this.#topics.delete(topic);
      this.#port?.post({ kind: 'unwatch', topic });
    };
  }

  protected override view(): ExplorerView {
    return this.#view;
  }

  #setSource(source: Source): void {
    this.#set({ source, filters: [] });
    this.#port?.post({ kind: 'filters', filters: [] });
    this.#port?.post({ kind: 'source', source });
    this.#begin();
  }

  /** What the worker does on its side by itself. */
  #begin(): void {
    this.#set({ tree: undefined, downSince: undefined, rows: NO_ROWS, stats: NO_STATS, survey: undefined });
    for (const { store } of this.#topics.values()) store.forget();
  }

  #entry(topic: string): { store: TopicStore; watchers: number } {
    let entry = this.#topics.get(topic);
    if (entry === undefined) {
      entry = { store: new TopicStore(topic), watchers: 0 };
      this.#topics.set(topic, entry);
    }
    return entry;
  }

  #connected(): TreePort {
    if (this.#port !== undefined) return this.#port;
    const port = this.#openPort();
    this.#port = port;
    port.listen((message) => {
      this.#handle(message);
    });
    port.post({ kind: 'source', source: this.#view.source });
    this.#follow();
    this.#home.subscribe(() => {
      this.#follow();
    });
    for (const [topic, { watchers }] of this.#topics) if (watchers > 0) port.post({ kind: 'watch', topic });
    return port;
  }

  /** Goes where the page's own connection goes, as the same user. */
  #follow(): void {
    const { url, userName } = this.#home.snapshot();
    const { credentials, logins } = this.#home;
    const before = this.#identity;
    this.#identity = { url, userName, logins };
    if (url !== before?.url) {
      const clientId = `${randomClientId()}-explorer`;
      this.#port?.post({ kind: 'connect', url, clientId, credentials, api: this.#api });
    } else if (logins !== before.logins) {
      const isAnother = userName !== before.userName;
      this.#port?.post({ kind: 'login', credentials, isAnother });
      if (isAnother) this.#begin();
    }
  }

  #handle(message: FromTree): void {
    switch (message.kind) {
      case 'status':
        this.#handleStatus(message.status);
        break;
      case 'tree':
        this.#handleTree(message.status);
        break;
      case 'rows':
        this.#set({ rows: message.rows, stats: message.stats });
        break;
      case 'here':
        this.#asking.shift()?.(message.place);
        break;
      case 'searched':
        this.#set({ searchProblem: message.problem });
        break;
      case 'topic':
        this.#topics.get(message.change.topic)?.store.handleChange(message.change);
        break;
      case 'surveyed':
        this.#set({ survey: message.survey });
        break;
      case 'clearing':
        this.#set({ clearing: message.clearing });
        break;
      case 'exported':
        this.#exports.get(message.id)?.(message);
        this.#exports.delete(message.id);
        break;
    }
  }

  #handleStatus(status: LinkStatus): void {
    const wasConnected = this.#view.status?.phase === 'connected';
    this.#set({ status });
    if (this.#view.source === 'filters') this.#setDown(status.phase !== 'connected', wasConnected);
  }

  #handleTree(status: TreeStatus): void {
    if (this.#view.source !== 'tree') return;
    const wasLive = this.#view.tree?.phase === 'live';
    this.#set({ tree: status });
    this.#setDown(status.phase !== 'live', wasLive);
  }

  #setDown(isDown: boolean, wasUp: boolean): void {
    this.#set({ downSince: isDown ? (wasUp ? Date.now() : this.#view.downSince) : undefined });
  }

  #set(change: Partial<ExplorerView>): void {
    this.#view = { ...this.#view, ...change };
    this.changed();
  }
}
