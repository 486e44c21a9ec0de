import { beforeEach, describe, expect, test, vi } from 'vitest';

import { Batch } from './batch.ts';
import type { BrokerClient, ClientEvents, OpenClient, Version } from './link.ts';
import { Link } from './link.ts';
import type { Credentials, FromWorker, Incoming, LinkStatus, Outgoing, PublishOutcome } from './protocol.ts';

const START = new Date('2026-01-01T00:00:00Z').getTime();

class FakeClient implements BrokerClient {
  readonly credentials: Credentials | undefined;
  readonly events: ClientEvents<Incoming>;
  readonly version: Version;
  readonly subscribed: string[] = [];
  readonly unsubscribed: string[] = [];
  readonly published: Outgoing[] = [];
  refusals = new Map<string, string>();
  outcome: Promise<PublishOutcome> = Promise.resolve({ kind: 'accepted' });
  closed = false;

  constructor(credentials: Credentials | undefined, events: ClientEvents<Incoming>, version: Version) {
    this.credentials = credentials;
    this.events = events;
    this.version = version;
  }
  subscribe(filter: string): Promise<string | undefined> {
    this.subscribed.push(filter);
    return Promise.resolve(this.refusals.get(filter));
  }
  unsubscribe(filter: string): void {
    this.unsubscribed.push(filter);
  }
  publish(message: Outgoing): Promise<PublishOutcome> {
    this.published.push(message);
    return this.outcome;
  }
  end(reason: string, isUnauthorised = false): void {
    this.events.handleClosed({ reason, isUnauthorised });
  }
  endAsTooNew(): void {
    this.events.handleClosed({ reason: 'unknown version', isUnauthorised: false, isVersionUnknown: true });
  }
  close(): void {
    this.closed = true;
    this.end('closed by us');
  }
}

let clients: FakeClient[];
let posted: FromWorker[];
let link: Link<Incoming>;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  clients = [];
  posted = [];
  const open: OpenClient<Incoming> = (_url, _clientId, credentials, events, version) => {
    const client = new FakeClient(credentials, events, version);
    clients.push(client);
    return client;
  };
  link = new Link(
    open,
    (message) => posted.push(message),
    new Batch((message) => posted.push(message)),
    () => 0.5,
  );
  link.handle({ kind: 'connect', url: 'ws://b', clientId: 'me', filters: ['reply', 'state'] });
});

function client(): FakeClient {
  const last = clients.at(-1);
  if (last === undefined) throw new Error('no attempt to connect');
  return last;
}

function status(): LinkStatus | undefined {
  return posted.flatMap((message) => (message.kind === 'status' ? [message.status] : [])).at(-1);
}

async function connected(): Promise<void> {
  client().events.handleConnected();
  await vi.advanceTimersByTimeAsync(0);
}

describe('connecting', () => {
  test('counts as connected when the subscriptions are answered', async () => {
    expect(status()).toEqual({ phase: 'connecting', attempt: 1 });
    await connected();
    expect(client().subscribed).toEqual(['reply', 'state']);
    expect(status()).toEqual({ phase: 'connected', since: START, refused: [] });
  });

  test('names the subscriptions that the broker refused', async () => {
    client().refusals.set('state', 'Not authorized');
    await connected();
    expect(status()).toMatchObject({ refused: [{ filter: 'state', reason: 'Not authorized' }] });
  });

  test('gives up when the browser refuses the address', () => {
    const refusing = new Link(
      () => {
        throw new Error('insecure');
      },
      (message) => posted.push(message),
      new Batch((message) => posted.push(message)),
    );
    refusing.handle({ kind: 'connect', url: 'ws://b', clientId: 'me', filters: [] });
    expect(status()).toEqual({ phase: 'offline', reason: 'insecure' });
    vi.advanceTimersByTime(100_000);
    expect(status()?.phase).toBe('offline');
  });

  test('a second connect replaces the first without a wait', async () => {
    await connected();
    const first = client();
    link.handle({ kind: 'connect', url: 'ws://c', clientId: 'me', filters: [] });
    expect(first.closed).toBe(true);
    expect(status()).toEqual({ phase: 'connecting', attempt: 1 });
  });
});

describe('reconnecting', () => {
  test('waits longer after every failure', () => {
    const delays = [];
    for (let failure = 0; failure < 6; failure++) {
      client().end('no answer');
      const now = status();
      if (now?.phase !== 'waiting') throw new Error('not waiting');
      delays.push(now.retryAt - Date.now());
      vi.advanceTimersByTime(now.retryAt - Date.now());
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    expect(clients).toHaveLength(7);
  });

  test('tells the reason and the attempt', () => {
    client().end('no answer');
    expect(status()).toEqual({ phase: 'waiting', retryAt: START + 1_000, attempt: 1, reason: 'no answer' });
  });

  test('begins with short waits again only after a connection that lasted', async () => {
    client().end('no answer');
    await vi.advanceTimersByTimeAsync(1_000);
    await connected();
    await vi.advanceTimersByTimeAsync(9_000);
    client().end('lost');
    expect(status()).toMatchObject({ attempt: 2 });
    await vi.advanceTimersByTimeAsync(2_000);
    await connected();
    await vi.advanceTimersByTimeAsync(11_000);
    client().end('lost');
    expect(status()).toMatchObject({ attempt: 1 });
  });

  test('Retry ends the wait, once', () => {
    client().end('no answer');
    link.handle({ kind: 'retry' });
    link.handle({ kind: 'retry' });
    expect(clients).toHaveLength(2);
    vi.advanceTimersByTime(60_000);
    expect(clients).toHaveLength(2);
  });

  test('subscribes again', async () => {
    await connected();
    client().end('lost');
    await vi.advanceTimersByTimeAsync(1_000);
    await connected();
    expect(client().subscribed).toEqual(['reply', 'state']);
    expect(status()?.phase).toBe('connected');
  });

  test('what a dead connection still says is ignored', async () => {
    const first = client();
    first.end('no answer');
    vi.advanceTimersByTime(1_000);
    first.events.handleConnected();
    first.end('again');
    await vi.advanceTimersByTimeAsync(0);
    expect(status()).toEqual({ phase: 'connecting', attempt: 2 });
  });
});

describe('a broker that wants to know who we are', () => {
  const credentials = { userName: 'ada', password: 'lovelace' };

  test('is not tried again by itself, only when the user says so', () => {
    client().end('Not authorized', true);
    expect(status()).toEqual({ phase: 'login', reason: 'Not authorized' });
    vi.advanceTimersByTime(100_000);
    link.handle({ kind: 'retry' });
    expect(clients).toHaveLength(1);
  });

  test('gets the user name and password, and again after a loss', async () => {
    expect(client().credentials).toBeUndefined();
    client().end('Not authorized', true);
    link.handle({ kind: 'login', credentials });
    expect(client().credentials).toEqual(credentials);
    await connected();
    expect(client().subscribed).toEqual(['reply', 'state']);
    client().end('lost');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(client().credentials).toEqual(credentials);
  });

  test('may be asked as nobody again', async () => {
    link.handle({ kind: 'login', credentials });
    await connected();
    const first = client();
    link.handle({ kind: 'login', credentials: undefined });
    expect(first.closed).toBe(true);
    expect(client().credentials).toBeUndefined();
  });
});

describe('a broker that does not know MQTT 5', () => {
  test('is tried at once with MQTT 3.1.1, and again with it after a loss', async () => {
    expect(client().version).toBe(5);
    client().endAsTooNew();
    expect(client().version).toBe(4);
    expect(status()).toEqual({ phase: 'connecting', attempt: 1 });
    await connected();
    expect(status()).toEqual({ phase: 'connected', since: START, refused: [], isOld: true });
    client().end('lost');
    link.handle({ kind: 'retry' });
    expect(client().version).toBe(4);
  });

  test('and not 3.1.1 either is waited for as any other', () => {
    client().endAsTooNew();
    client().endAsTooNew();
    expect(clients).toHaveLength(2);
    expect(status()).toMatchObject({ phase: 'waiting', reason: 'unknown version' });
  });
});

describe('one more filter', () => {
  test('holds from then on, over all connections, until it is given up', async () => {
    await connected();
    link.handle({ kind: 'subscribe', filter: 'more' });
    expect(client().subscribed).toEqual(['reply', 'state', 'more']);
    client().end('lost');
    await vi.advanceTimersByTimeAsync(1_000);
    await connected();
    expect(client().subscribed).toEqual(['reply', 'state', 'more']);
    link.handle({ kind: 'unsubscribe', filter: 'more' });
    expect(client().unsubscribed).toEqual(['more']);
    client().end('lost');
    await vi.advanceTimersByTimeAsync(5_000);
    await connected();
    expect(client().subscribed).toEqual(['reply', 'state']);
  });

  test('that is asked for while the broker answers is not forgotten', async () => {
    client().events.handleConnected();
    link.handle({ kind: 'subscribe', filter: 'more' });
    await vi.advanceTimersByTimeAsync(0);
    expect(client().subscribed).toEqual(['reply', 'state', 'more']);
  });

  test('that is refused is told, for as long as somebody wants it', async () => {
    await connected();
    client().refusals.set('more', 'Not authorized');
    link.handle({ kind: 'subscribe', filter: 'more' });
    await vi.advanceTimersByTimeAsync(0);
    expect(status()).toMatchObject({ refused: [{ filter: 'more', reason: 'Not authorized' }] });
    link.handle({ kind: 'unsubscribe', filter: 'more' });
    expect(status()).toMatchObject({ phase: 'connected', refused: [] });
  });
});

describe('messages', () => {
  const incoming = { topic: 't', text: 'x', bytes: 1, retain: false, qos: 0, at: START } as const;

  test('those received before a loss are handed over before it', async () => {
    await connected();
    client().events.handleMessage(incoming);
    client().end('lost');
    expect(posted.slice(-2).map(({ kind }) => kind)).toEqual(['messages', 'status']);
  });

  const command: Outgoing = { topic: 'c', payload: '{}', qos: 1 };

  test('are refused while there is no connection', async () => {
    link.handle({ kind: 'publish', id: 7, ...command });
    await vi.advanceTimersByTimeAsync(0);
    expect(posted.at(-1)).toEqual({
      kind: 'published',
      id: 7,
      outcome: { kind: 'refused', reason: 'not connected' },
    });
  });

  test('are published and the answer is passed on', async () => {
    await connected();
    client().outcome = Promise.resolve({ kind: 'unheard' });
    link.handle({ kind: 'publish', id: 8, ...command });
    await vi.advanceTimersByTimeAsync(0);
    expect(posted.at(-1)).toEqual({ kind: 'published', id: 8, outcome: { kind: 'unheard' } });
  });

  test('that fail because the connection ended are neither accepted nor refused', async () => {
    await connected();
    let fail: (outcome: PublishOutcome) => void = () => undefined;
    client().outcome = new Promise((resolve) => (fail = resolve));
    link.handle({ kind: 'publish', id: 9, ...command });
    client().end('lost');
    fail({ kind: 'refused', reason: 'Connection closed' });
    await vi.advanceTimersByTimeAsync(0);
    expect(posted.at(-1)).toEqual({ kind: 'published', id: 9, outcome: { kind: 'interrupted' } });
  });
});
