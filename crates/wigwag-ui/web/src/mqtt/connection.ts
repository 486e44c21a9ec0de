/**
 * The page's half of the connection: its status as React reads it, and publishing with an answer. Talks to the worker
 * through {@link Port}; hands messages to whoever listens, in order, without looking into them.
 */
import { FrameStore } from '../ui/frame-store.ts';
import { Meter } from './meter.ts';
import { Pace } from './pace.ts';
import type {
  Credentials,
  FromWorker,
  Incoming,
  LinkStatus,
  Outgoing,
  PublishOutcome,
  ToWorker,
} from './protocol.ts';

export interface Port {
  post: (message: ToWorker) => void;
  listen: (listener: (message: FromWorker) => void) => void;
  /** Ends the worker, and its connection with it. */
  end: () => void;
}

export interface ConnectionView {
  url: string;
  status: LinkStatus;
  /** Since when what is shown may be outdated; undefined while connected and before the first connection. */
  downSince: number | undefined;
  /** Who we are to the broker; absent as nobody. */
  userName?: string;
}

export interface ConnectionEvents {
  handleMessages: (messages: Incoming[], skipped: number) => void;
  handleStatus: (view: ConnectionView) => void;
}

export function openWorker(): Port {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'mqtt' });
  return {
    post: (message) => {
      worker.postMessage(message);
    },
    listen: (listener) => {
      worker.addEventListener('message', (event: MessageEvent<FromWorker>) => {
        listener(event.data);
      });
    },
    end: () => {
      worker.terminate();
    },
  };
}

/** Not `randomUUID`, which a page served over plain http from another machine does not have. */
export function randomClientId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return 'wigwag-ui-' + [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Connection extends FrameStore<ConnectionView> {
  readonly #port: Port;
  readonly #events: ConnectionEvents;
  readonly #awaiting = new Map<number, (outcome: PublishOutcome) => void>();
  /** How many want each filter beyond those of `open`. */
  readonly #wanted = new Map<string, number>();
  /** Messages that have come and gone. */
  readonly received = new Meter();
  readonly sent = new Meter();
  readonly #pace = new Pace();
  #view: ConnectionView = {
    url: '',
    status: { phase: 'connecting', attempt: 1 },
    downSince: undefined,
  };
  #credentials: Credentials | undefined;
  #logins = 0;
  /** Something has come, or may be on its way. */
  #isUsed = false;
  #isEnded = false;
  #lastId = 0;

  constructor(port: Port, events: ConnectionEvents) {
    super();
    this.#port = port;
    this.#events = events;
    port.listen((message) => {
      this.#handle(message);
    });
  }

  open(url: string, clientId: string, filters: string[], credentials?: Credentials): void {
    this.#credentials = credentials;
    const name = credentials === undefined ? {} : { userName: credentials.userName };
    this.#setView({ ...this.#view, url, ...name });
    if (credentials !== undefined) this.#port.post({ kind: 'login', credentials });
    this.#port.post({ kind: 'connect', url, clientId, filters });
  }

  /** For good: nothing comes any more, and nothing is sent. */
  end(): void {
    this.#isEnded = true;
    this.#port.end();
    for (const resolve of this.#awaiting.values()) resolve({ kind: 'interrupted' });
    this.#awaiting.clear();
  }

  /** There is no usable address: nothing will be tried. */
  refuse(reason: string): void {
    this.#setView({ ...this.#view, status: { phase: 'offline', reason } });
  }

  /** For connections beside this one, which are to be the same user's. */
  get credentials(): Credentials | undefined {
    return this.#credentials;
  }

  /** Who we are to the broker, or were last. */
  get userName(): string | undefined {
    return this.#view.userName;
  }

  /** Whether what has come, or is on its way, may be none of this user's business, who is somebody else. */
  isOfAnother(userName: string | undefined): boolean {
    return userName !== this.userName && (this.#isUsed || this.#isTrying);
  }

  /** How often it was to begin anew as somebody: connections beside this one do the same. */
  get logins(): number {
    return this.#logins;
  }

  /** Connects anew as this user, or as nobody. */
  login(credentials: Credentials | undefined): void {
    this.#loginAs(credentials?.userName, credentials);
  }

  /** Connects anew without a password: the server of the page, which is the broker too, knows who we are. */
  loginBySession(userName: string | undefined): void {
    this.#loginAs(userName, undefined);
  }

  /** Who the server of the page takes us for; nothing of the connection changes. */
  handleSession(userName: string): void {
    this.#setView({ ...this.#view, userName });
  }

  #loginAs(userName: string | undefined, credentials: Credentials | undefined): void {
    // What comes next may still be of the attempt before.
    this.#isUsed ||= this.#isTrying;
    this.#credentials = credentials;
    this.#logins += 1;
    const { url, status, downSince } = this.#view;
    const name = userName === undefined ? {} : { userName };
    this.#setView({ url, status, downSince, ...name });
    this.#port.post({ kind: 'login', credentials });
  }

  retry(): void {
    this.#port.post({ kind: 'retry' });
  }

  /** Subscribes to one more filter for as long as anybody wants it: until each caller has called what it got. */
  subscribeTo(filter: string): () => void {
    const wanted = this.#wanted.get(filter) ?? 0;
    this.#wanted.set(filter, wanted + 1);
    if (wanted === 0) this.#port.post({ kind: 'subscribe', filter });
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = (this.#wanted.get(filter) ?? 1) - 1;
      if (left > 0) {
        this.#wanted.set(filter, left);
        return;
      }
      this.#wanted.delete(filter);
      this.#port.post({ kind: 'unsubscribe', filter });
    };
  }

  publish(message: Outgoing): Promise<PublishOutcome> {
    const id = ++this.#lastId;
    this.sent.count(1);
    if (this.#isEnded) return Promise.resolve({ kind: 'interrupted' });
    return new Promise((resolve) => {
      this.#awaiting.set(id, resolve);
      this.#port.post({ kind: 'publish', id, ...message });
    });
  }

  protected override view(): ConnectionView {
    return this.#view;
  }

  /** Whether the worker has a connection or tries to get one: refused, it waits for another login. */
  get #isTrying(): boolean {
    const { phase } = this.#view.status;
    return phase !== 'login' && phase !== 'offline';
  }

  #handle(message: FromWorker): void {
    // A worker that is ended may have said something just before.
    if (this.#isEnded) return;
    switch (message.kind) {
      case 'status':
        this.#handleStatus(message.status);
        break;
      case 'messages':
        this.#isUsed = true;
        this.received.count(message.messages.length + message.skipped);
        this.#pace.take(
          () => {
            this.#events.handleMessages(message.messages, message.skipped);
          },
          () => {
            this.#port.post({ kind: 'handled' });
          },
        );
        break;
      case 'published':
        this.#awaiting.get(message.id)?.(message.outcome);
        this.#awaiting.delete(message.id);
        break;
    }
  }

  #handleStatus(status: LinkStatus): void {
    const wasConnected = this.#view.status.phase === 'connected';
    this.#isUsed ||= status.phase === 'connected';
    const downSince =
      status.phase === 'connected' ? undefined : wasConnected ? Date.now() : this.#view.downSince;
    this.#setView({ ...this.#view, status, downSince });
    this.#events.handleStatus(this.#view);
  }

  #setView(view: ConnectionView): void {
    this.#view = view;
    this.changed();
  }
}
