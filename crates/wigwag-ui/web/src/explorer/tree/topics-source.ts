/**
 * The tree that the broker itself keeps, over a WebSocket of its HTTP interface: what has changed, a few times a second.
 * Connects again for as long as it is wanted, and finds out what was different by then. Shows nothing, keeps no messages.
 */
import type { Message } from '../../message/message.ts';
import { backoffMs } from '../../mqtt/backoff.ts';
import { pageFetch } from '../../page-fetch.ts';
import type { TreeStatus } from '../protocol.ts';

/** What the broker says of a topic. */
export interface Update {
  topic: string;
  /** Messages since it was told of last. */
  count: number;
  /** These came just now, all of them. */
  isRated: boolean;
  isRetained: boolean;
  /** The latest one, its payload cut; absent when that is not known any more. */
  message: Message | undefined;
}

export interface News {
  updates: Update[];
  /** Those that the viewer may no longer read. */
  gone: string[];
  /** Messages of topics for which the broker has no room. */
  beyond: number;
  /** Messages that came too fast even for the broker. */
  lost: number;
}

export interface TopicsSocket {
  close: () => void;
}

export interface SocketEvents {
  handleText: (text: string) => void;
  /** Comes once, and never after `close`. */
  handleClosed: () => void;
}

export interface Network {
  open: (url: string, events: SocketEvents) => TopicsSocket;
  /** Why the address cannot be opened; browsers say that to a plain request only. */
  ask: (url: string) => Promise<string>;
}

export interface SourceEvents {
  handleNews: (news: News) => void;
  handleStatus: (status: TreeStatus) => void;
}

/** What the broker has retained comes within this time; what has not is not there any more. */
export const SETTLED_MS = 5_000;
const STABLE_AFTER_MS = 10_000;

interface Known {
  messages: number;
  isRetained: boolean;
  /** The connection that has told of it. */
  connection: number;
}

export class TopicsSource {
  readonly #network: Network;
  readonly #events: SourceEvents;
  readonly #random: () => number;
  readonly #known = new Map<string, Known>();
  #url: string | undefined;
  #socket: TopicsSocket | undefined;
  #status: TreeStatus | undefined;
  #connection = 0;
  #attempt = 0;
  /** Which tree it was. */
  #since: number | undefined;
  /** By how much the broker's clock is behind ours. */
  #behindMs = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #settleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(network: Network, events: SourceEvents, random: () => number = Math.random) {
    this.#network = network;
    this.#events = events;
    this.#random = random;
  }

  start(url: string): void {
    if (this.#url === url) return;
    this.stop();
    this.#url = url;
    this.#connect(url);
  }

  stop(): void {
    this.#url = undefined;
    this.#since = undefined;
    this.#attempt = 0;
    this.#status = undefined;
    this.#known.clear();
    this.#connection += 1;
    this.#socket?.close();
    this.#socket = undefined;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#settleTimer);
  }

  /** Ends the wait for the next attempt. */
  retryNow(): void {
    if (this.#status?.phase === 'waiting' && this.#url !== undefined) this.#connect(this.#url);
  }

  #connect(url: string): void {
    clearTimeout(this.#retryTimer);
    const connection = ++this.#connection;
    this.#setStatus({ phase: 'connecting', attempt: this.#attempt + 1 });
    this.#socket = this.#network.open(url, {
      handleText: (text) => {
        if (connection === this.#connection) this.#handleText(text);
      },
      handleClosed: () => {
        if (connection === this.#connection) void this.#handleClosed(url, connection);
      },
    });
  }

  async #handleClosed(url: string, connection: number): Promise<void> {
    this.#socket = undefined;
    clearTimeout(this.#settleTimer);
    const status = this.#status;
    const wasLive = status?.phase === 'live';
    const lasted = wasLive && Date.now() - status.since >= STABLE_AFTER_MS;
    this.#attempt = lasted ? 1 : this.#attempt + 1;
    const reason = wasLive ? 'the connection was closed' : await this.#network.ask(httpUrl(url));
    if (connection !== this.#connection) return;
    const delay = backoffMs(this.#attempt, this.#random());
    this.#setStatus({ phase: 'waiting', retryAt: Date.now() + delay, reason });
    this.#retryTimer = setTimeout(() => {
      this.retryNow();
    }, delay);
  }

  #handleText(text: string): void {
    const frame = parse(text);
    if (frame === undefined) return;
    if (typeof frame.since === 'number') {
      this.#begin(frame.since, typeof frame.now === 'number' ? frame.now : Date.now());
      return;
    }
    const updates = listOf(frame.topics).flatMap((entry) => this.#updateOf(entry));
    const gone = listOf(frame.gone).filter((topic) => typeof topic === 'string');
    for (const topic of gone) this.#known.delete(topic);
    this.#events.handleNews({ updates, gone, beyond: countOf(frame.beyond), lost: countOf(frame.lost) });
    if (frame.isMore === true && this.#settleTimer !== undefined) this.#settleLater();
  }

  #begin(since: number, now: number): void {
    // Another tree counts from nothing.
    if (since !== this.#since) for (const known of this.#known.values()) known.messages = 0;
    this.#since = since;
    this.#behindMs = Date.now() - now;
    this.#setStatus({ phase: 'live', since: Date.now() });
    this.#settleLater();
  }

  /** Of what was there before this connection, nothing has been said by then. */
  #settleLater(): void {
    clearTimeout(this.#settleTimer);
    this.#settleTimer = setTimeout(() => {
      this.#settleTimer = undefined;
      this.#settle();
    }, SETTLED_MS);
  }

  #settle(): void {
    const updates: Update[] = [];
    for (const [topic, known] of this.#known) {
      if (known.connection === this.#connection || !known.isRetained) continue;
      known.isRetained = false;
      updates.push({ topic, count: 0, isRated: false, isRetained: false, message: undefined });
    }
    if (updates.length > 0) this.#events.handleNews({ updates, gone: [], beyond: 0, lost: 0 });
  }

  #updateOf(entry: unknown): Update[] {
    if (!isRecord(entry) || typeof entry.topic !== 'string') return [];
    const { topic } = entry;
    const messages = countOf(entry.messages);
    const before = this.#known.get(topic);
    const isRetained = entry.isRetained === true;
    this.#known.set(topic, { messages, isRetained, connection: this.#connection });
    return [
      {
        topic,
        count: Math.max(0, messages - (before?.messages ?? 0)),
        isRated: entry.areOld !== true,
        isRetained,
        message: {
          seq: 0,
          topic,
          payload: payloadOf(entry),
          bytes: countOf(entry.bytes),
          retain: entry.retain === true,
          qos: entry.qos === 1 || entry.qos === 2 ? entry.qos : 0,
          at: countOf(entry.at) + this.#behindMs,
          properties: {},
        },
      },
    ];
  }

  #setStatus(status: TreeStatus): void {
    this.#status = status;
    this.#events.handleStatus(status);
  }
}

/** Through the browser. */
export const browserNetwork: Network = {
  open: (url, events) => {
    let isOver = false;
    const socket = new WebSocket(url);
    socket.addEventListener('message', ({ data }) => {
      if (!isOver && typeof data === 'string') events.handleText(data);
    });
    socket.addEventListener('close', () => {
      if (!isOver) events.handleClosed();
      isOver = true;
    });
    return {
      close: () => {
        isOver = true;
        socket.close();
      },
    };
  },
  ask: async (url) => {
    try {
      const response = await pageFetch(url);
      if (response.status === 401) return 'the broker wants to know who you are';
      const body: unknown = response.headers.get('content-type')?.startsWith('application/json')
        ? await response.json()
        : undefined;
      // It would have been a WebSocket.
      if (response.status === 426) return 'the WebSocket was closed';
      return isRecord(body) && typeof body.error === 'string' ? body.error : `status ${response.status}`;
    } catch {
      return 'no answer from the broker';
    }
  },
};

/** Where the tree is, below the address of the broker's interface. */
export function topicsUrl(api: string): string {
  const url = new URL('topics', api.endsWith('/') ? api : `${api}/`);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

function httpUrl(url: string): string {
  return url.replace(/^ws/, 'http');
}

const utf8 = new TextEncoder();

function payloadOf({ payload, payloadBase64 }: Record<string, unknown>): Uint8Array {
  if (typeof payload === 'string') return utf8.encode(payload);
  if (typeof payloadBase64 !== 'string') return new Uint8Array();
  try {
    return Uint8Array.from(atob(payloadBase64), (char) => char.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function countOf(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
