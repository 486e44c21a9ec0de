/**
 * The worker's half of the connection: connect, subscribe, wait, try again. Owns the timing of attempts, which mqtt.js
 * would do at a fixed period; knows mqtt.js only through {@link OpenClient}, so that tests run without a network.
 */
import { backoffMs } from './backoff.ts';
import type {
  FromWorker,
  LinkStatus,
  Outgoing,
  Credentials,
  PublishOutcome,
  RefusedFilter,
  ToLink,
} from './protocol.ts';

/** One connection, never reused. `handleClosed` comes once, whatever went wrong. */
export type OpenClient<Message> = (
  url: string,
  clientId: string,
  credentials: Credentials | undefined,
  events: ClientEvents<Message>,
  version: Version,
) => BrokerClient;

/** As it stands in CONNECT: 5, or 4 for MQTT 3.1.1. */
export type Version = 4 | 5;

export interface ClientEvents<Message> {
  handleConnected: () => void;
  handleMessage: (message: Message) => void;
  handleClosed: (end: ClientEnd) => void;
}

export interface ClientEnd {
  reason: string;
  /** The broker refused the user name and password, or that there were none. */
  isUnauthorised: boolean;
  /** The broker does not know this version of MQTT. */
  isVersionUnknown?: boolean;
}

export interface BrokerClient {
  /** Resolves to why the broker refused, or to nothing. */
  subscribe: (filter: string) => Promise<string | undefined>;
  unsubscribe: (filter: string) => void;
  publish: (message: Outgoing) => Promise<PublishOutcome>;
  close: () => void;
}

/** Where messages go. What was added before `flush` is seen before whatever comes after it. */
export interface Outlet<Message> {
  add: (message: Message) => void;
  flush: () => void;
}

type Posted = Exclude<FromWorker, { kind: 'messages' }>;

/** A connection that lasted this long counts as good: the next loss starts from the shortest wait. */
const STABLE_AFTER_MS = 10_000;

type ConnectRequest = Extract<ToLink, { kind: 'connect' }>;

export class Link<Message> {
  readonly #open: OpenClient<Message>;
  readonly #post: (message: Posted) => void;
  readonly #outlet: Outlet<Message>;
  readonly #random: () => number;
  #request: ConnectRequest | undefined;
  #credentials: Credentials | undefined;
  /** Filters beyond those of the request. */
  readonly #more = new Set<string>();
  #client: BrokerClient | undefined;
  #status: LinkStatus | undefined;
  #version: Version = 5;
  #attempt = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    open: OpenClient<Message>,
    post: (message: Posted) => void,
    outlet: Outlet<Message>,
    random: () => number = Math.random,
  ) {
    this.#open = open;
    this.#post = post;
    this.#outlet = outlet;
    this.#random = random;
  }

  handle(message: ToLink): void {
    switch (message.kind) {
      case 'connect':
        this.#begin(message);
        break;
      case 'login':
        this.#credentials = message.credentials;
        if (this.#request !== undefined) this.#begin(this.#request);
        break;
      case 'retry':
        this.retryNow();
        break;
      case 'subscribe':
        void this.#subscribeMore(message.filter);
        break;
      case 'unsubscribe':
        this.#unsubscribe(message.filter);
        break;
      case 'publish':
        void this.publish(message).then((outcome) => {
          this.#post({ kind: 'published', id: message.id, outcome });
        });
        break;
    }
  }

  async publish(message: Outgoing): Promise<PublishOutcome> {
    const client = this.#status?.phase === 'connected' ? this.#client : undefined;
    if (client === undefined) return { kind: 'refused', reason: 'not connected' };
    const outcome = await client.publish(message);
    return outcome.kind === 'refused' && this.#client !== client ? { kind: 'interrupted' } : outcome;
  }

  /** Ends the wait for the next attempt; does nothing in any other phase. */
  retryNow(): void {
    if (this.#status?.phase === 'waiting' && this.#request !== undefined) this.#connect(this.#request);
  }

  #begin(request: ConnectRequest): void {
    this.#drop();
    this.#request = request;
    this.#version = 5;
    this.#attempt = 0;
    this.#connect(request);
  }

  #connect(request: ConnectRequest): void {
    clearTimeout(this.#retryTimer);
    this.#setStatus({ phase: 'connecting', attempt: this.#attempt + 1 });
    try {
      const events: ClientEvents<Message> = {
        handleConnected: () => {
          if (this.#client === client) void this.#subscribe(client, [...request.filters, ...this.#more]);
        },
        handleMessage: (message) => {
          if (this.#client === client) this.#outlet.add(message);
        },
        handleClosed: (end) => {
          if (this.#client === client) this.#handleClosed(end);
        },
      };
      const client = this.#open(request.url, request.clientId, this.#credentials, events, this.#version);
      this.#client = client;
    } catch (error) {
      // The browser refuses the address itself, such as ws:// from an https page: trying again cannot help.
      this.#client = undefined;
      this.#setStatus({ phase: 'offline', reason: error instanceof Error ? error.message : String(error) });
    }
  }

  async #subscribe(client: BrokerClient, filters: string[]): Promise<void> {
    const refused = await refusals(client, filters);
    if (this.#client !== client) return;
    const isOld = this.#version === 4;
    this.#setStatus({ phase: 'connected', since: Date.now(), refused, ...(isOld && { isOld }) });
    // Asked for while the broker answered.
    for (const filter of this.#more) if (!filters.includes(filter)) void this.#subscribeMore(filter);
  }

  async #subscribeMore(filter: string): Promise<void> {
    this.#more.add(filter);
    const client = this.#client;
    if (client === undefined || this.#status?.phase !== 'connected') return;
    const refused = await refusals(client, [filter]);
    const isWanted = this.#client === client && this.#more.has(filter);
    if (refused.length === 0 || !isWanted) return;
    this.#setStatus({ ...this.#status, refused: [...this.#status.refused, ...refused] });
  }

  #unsubscribe(filter: string): void {
    this.#more.delete(filter);
    if (this.#status?.phase !== 'connected') return;
    this.#client?.unsubscribe(filter);
    const refused = this.#status.refused.filter((refusal) => refusal.filter !== filter);
    if (refused.length < this.#status.refused.length) this.#setStatus({ ...this.#status, refused });
  }

  #handleClosed({ reason, isUnauthorised, isVersionUnknown = false }: ClientEnd): void {
    if (isVersionUnknown && this.#version === 5 && this.#request !== undefined) {
      this.#version = 4;
      this.#connect(this.#request);
      return;
    }
    if (isUnauthorised) {
      // Trying the same again would at best be counted as guessing.
      this.#client = undefined;
      this.#setStatus({ phase: 'login', reason });
      return;
    }
    const lasted = this.#status?.phase === 'connected' && Date.now() - this.#status.since >= STABLE_AFTER_MS;
    this.#client = undefined;
    this.#attempt = lasted ? 1 : this.#attempt + 1;
    const delay = backoffMs(this.#attempt, this.#random());
    this.#setStatus({ phase: 'waiting', retryAt: Date.now() + delay, attempt: this.#attempt, reason });
    this.#retryTimer = setTimeout(() => {
      this.retryNow();
    }, delay);
  }

  /** Forgets the client first, so that its end is not taken for a loss. */
  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.close();
  }

  #setStatus(status: LinkStatus): void {
    // What came before the change must be seen before it.
    this.#outlet.flush();
    this.#status = status;
    this.#post({ kind: 'status', status });
  }
}

async function refusals(client: BrokerClient, filters: string[]): Promise<RefusedFilter[]> {
  const all = await Promise.all(
    filters.map(async (filter): Promise<RefusedFilter[]> => {
      const reason = await client.subscribe(filter);
      return reason === undefined ? [] : [{ filter, reason }];
    }),
  );
  return all.flat();
}
