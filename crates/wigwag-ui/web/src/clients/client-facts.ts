/** What a broker tells of the sessions of its clients, read from its answer. Pure but for the question itself. */
import type { Ask } from '../api.ts';
import { isRecord } from '../api.ts';

export interface ClientFacts {
  id: string;
  user: string | undefined;
  /** Address and port; absent on a Unix socket, or when it was before the broker's start. */
  address: string | undefined;
  listener: string | undefined;
  isBridge: boolean;
  /** Absent while the client is away. */
  connection: { protocol: string; keepAliveSecs: number; unreadBytes: number } | undefined;
  /** Since when it is connected, or away; absent if that was before the broker's start. */
  since: number | undefined;
  /** For how long the session outlives its connection; absent for ever. */
  expirySecs: number | undefined;
  endsAt: number | undefined;
  subscriptions: readonly { filter: string; qos: number }[];
  /** Subscriptions that were not told. */
  subscriptionsBeyond: number;
  queued: number;
  inFlight: number;
  /** Of all messages that wait. */
  bytes: number;
  dropped: number;
  willTopic: string | undefined;
}

export interface FoundClients {
  clients: readonly ClientFacts[];
  /** Clients that were not told. */
  beyond: number;
}

/** Those whose Will has the topic, or who are called so. */
export type FindClients = (
  by: { topic: string } | { id: string },
  stopped: AbortSignal,
) => Promise<FoundClients>;

export function clientsOf(ask: Ask): FindClients {
  return async (by, stopped) => readClients(await ask('clients', by, stopped));
}

export function readClients(answer: unknown): FoundClients {
  if (!isRecord(answer) || !Array.isArray(answer.clients)) {
    throw new Error('the server’s answer is not a list of clients');
  }
  const clients = answer.clients.map(readClient).filter((client) => client !== undefined);
  return { clients, beyond: numberIn(answer.beyond) ?? 0 };
}

function readClient(said: unknown): ClientFacts | undefined {
  if (!isRecord(said) || typeof said.id !== 'string') return undefined;
  const { connection } = said;
  return {
    id: said.id,
    user: textIn(said.user),
    address: textIn(said.address),
    listener: textIn(said.listener),
    isBridge: said.isBridge === true,
    connection: isRecord(connection)
      ? {
          protocol: textIn(connection.protocol) ?? '?',
          keepAliveSecs: numberIn(connection.keepAlive) ?? 0,
          unreadBytes: numberIn(connection.unread) ?? 0,
        }
      : undefined,
    since: numberIn(said.since),
    expirySecs: numberIn(said.expiry),
    endsAt: numberIn(said.endsAt),
    subscriptions: Array.isArray(said.subscriptions)
      ? said.subscriptions.map(readSubscription).filter((one) => one !== undefined)
      : [],
    subscriptionsBeyond: numberIn(said.subscriptionsBeyond) ?? 0,
    queued: numberIn(said.queued) ?? 0,
    inFlight: numberIn(said.inFlight) ?? 0,
    bytes: numberIn(said.bytes) ?? 0,
    dropped: numberIn(said.dropped) ?? 0,
    willTopic: textIn(said.willTopic),
  };
}

function readSubscription(said: unknown): { filter: string; qos: number } | undefined {
  if (!isRecord(said) || typeof said.filter !== 'string') return undefined;
  return { filter: said.filter, qos: numberIn(said.qos) ?? 0 };
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberIn(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
