/**
 * The worker's half of the connection: connect, subscribe, wait, try again. Owns the timing of attempts, which mqtt.js
 * would do at a fixed period; knows mqtt.js only through {@link OpenClient}, so that tests run without a network.
 */
import { backoffMs } from './backoff.ts';
import { Batch } from './batch.ts';
import type {
  FromWorker,
  Incoming,
  LinkStatus,
  Outgoing,
  Credentials,
  PublishOutcome,
  RefusedFilter,
  ToWorker,
} from './protocol.ts';

/** One connection, never reused. `handleClosed` comes once, whatever went wrong. */
export type OpenClient = (
  url: string,
  clientId: string,
  credentials: Credentials | undefined,
  events: ClientEvents,
) => BrokerClient;

export interface ClientEvents {
  handleConnected: () => void;
  handleMessage: (message: Incoming) => void;
  handleClosed: (end: ClientEnd) => void;
}

export interface ClientEnd {
  reason: string;
  /** The broker refused the user name and password, or that there were none. */
  isUnauthorised: boolean;
}

export interface BrokerClient {
  /** Resolves to why the broker refused, or to nothing. */
  subscribe: (filter: string) => Promise<string | undefined>;
  publish: (message: Outgoing) => Promise<PublishOutcome>;
  close: () => void;
}

/** A connection that lasted this long counts as good: the next loss starts from the shortest wait. */
const STABLE_AFTER_MS = 10_000;

type ConnectRequest = Extract<ToWorker, { kind: 'connect' }>;

export class Link {
  readonly #open: OpenClient;
  readonly #post: (message: FromWorker) => void;
  readonly #random: () => number;
  readonly #batch: Batch;
  #request: ConnectRequest | undefined;
  #credentials: Credentials | undefined;
  #client: BrokerClient | undefined;
  #status: LinkStatus | undefined;
  #attempt = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(open: OpenClient, post: (message: FromWorker) => void, random: () => number = Math.random) {
    this.#open = open;
    this.#post = post;
    this.#random = random;
    this.#batch = new Batch(post);
  }

  handle(message: ToWorker): void {
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
      case 'publish':
        void this.#publish(message.id, message);
        break;
    }
  }

  /** Ends the wait for the next attempt; does nothing in any other phase. */
  retryNow(): void {
    if (this.#status?.phase === 'waiting' && this.#request !== undefined) this.#connect(this.#request);
  }

  #begin(request: ConnectRequest): void {
    this.#drop();
    this.#request = request;
    this.#attempt = 0;
    this.#connect(request);
  }

  #connect(request: ConnectRequest): void {
    clearTimeout(this.#retryTimer);
    this.#setStatus({ phase: 'connecting', attempt: this.#attempt + 1 });
    try {
      const client = this.#open(request.url, request.clientId, this.#credentials, {
        handleConnected: () => {
          if (this.#client === client) void this.#subscribe(client, request.filters);
        },
        handleMessage: (message) => {
          if (this.#client === client) this.#batch.add(message);
        },
        handleClosed: (end) => {
          if (this.#client === client) this.#handleClosed(request, end);
        },
      });
      this.#client = client;
    } catch (error) {
      // The browser refuses the address itself, such as ws:// from an https page: trying again cannot help.
      this.#client = undefined;
      this.#setStatus({ phase: 'offline', reason: error instanceof Error ? error.message : String(error) });
    }
  }

  async #subscribe(client: BrokerClient, filters: string[]): Promise<void> {
    const refusals = await Promise.all(
      filters.map(async (filter): Promise<RefusedFilter[]> => {
        const reason = await client.subscribe(filter);
        return reason === undefined ? [] : [{ filter, reason }];
      }),
    );
    if (this.#client !== client) return;
    this.#setStatus({ phase: 'connected', since: Date.now(), refused: refusals.flat() });
  }

  #handleClosed(request: ConnectRequest, { reason, isUnauthorised }: ClientEnd): void {
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
      this.#connect(request);
    }, delay);
  }

  /** Forgets the client first, so that its end is not taken for a loss. */
  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.close();
  }

  async #publish(id: number, message: Outgoing): Promise<void> {
    const client = this.#status?.phase === 'connected' ? this.#client : undefined;
    let outcome: PublishOutcome = { kind: 'refused', reason: 'not connected' };
    if (client !== undefined) {
      outcome = await client.publish(message);
      if (outcome.kind === 'refused' && this.#client !== client) outcome = { kind: 'interrupted' };
    }
    this.#post({ kind: 'published', id, outcome });
  }

  #setStatus(status: LinkStatus): void {
    // What came before the change must be seen before it.
    this.#batch.flush();
    this.#status = status;
    this.#post({ kind: 'status', status });
  }
}
