/**
 * What the page and the worker say to each other. The worker owns the connection and its timing, the page owns what is
 * shown; nothing but these values crosses.
 */
import type { Properties } from '../message/message.ts';

export type ToWorker =
  | ToLink
  /** One of `messages` has been handled: there is time for another one. */
  | { kind: 'handled' };

/** What is asked of a connection. */
export type ToLink =
  | { kind: 'connect'; url: string; clientId: string; filters: string[] }
  | { kind: 'retry' }
  /** One more filter, from now on until `unsubscribe`, over all connections. */
  | { kind: 'subscribe'; filter: string }
  | { kind: 'unsubscribe'; filter: string }
  /** Connects anew with these, or as nobody; everything else stays as `connect` said. */
  | { kind: 'login'; credentials: Credentials | undefined }
  | ({ kind: 'publish'; id: number } & Outgoing);

export type FromWorker =
  | { kind: 'status'; status: LinkStatus }
  /** `skipped` messages came too fast to be handed over; the oldest of a batch are the ones that go. */
  | { kind: 'messages'; messages: Incoming[]; skipped: number }
  | { kind: 'published'; id: number; outcome: PublishOutcome };

/** In memory only: never stored, never in an address. */
export interface Credentials {
  userName: string;
  password: string;
}

/** Times are milliseconds of the wall clock, which page and worker share. */
export type LinkStatus =
  | { phase: 'connecting'; attempt: number }
  /** `isOld`: the broker knows MQTT 3.1.1 and not 5. */
  | { phase: 'connected'; since: number; refused: RefusedFilter[]; isOld?: true }
  | { phase: 'waiting'; retryAt: number; attempt: number; reason: string }
  /** The broker wants to know who we are, or knows somebody else by that name: up to the user. */
  | { phase: 'login'; reason: string }
  /** Nothing to try: the address is unusable. */
  | { phase: 'offline'; reason: string };

export interface RefusedFilter {
  filter: string;
  reason: string;
}

export interface Incoming {
  topic: string;
  /** At most {@link TEXT_BYTES_MAX} bytes of the payload, read as UTF-8; what is not UTF-8 shows as U+FFFD. */
  text: string;
  /** Size of the whole payload. */
  bytes: number;
  /** The payload itself, at most {@link PAYLOAD_BYTES_MAX}, where {@link isBinary} says that it is not text. */
  payload?: Uint8Array;
  retain: boolean;
  qos: 0 | 1 | 2;
  at: number;
  correlation?: string;
}

export interface Outgoing {
  topic: string;
  payload: string | Uint8Array;
  qos: 0 | 1 | 2;
  retain?: boolean;
  properties?: Properties;
  responseTopic?: string;
  correlation?: string;
}

export type PublishOutcome =
  | { kind: 'accepted' }
  /** Reason Code 0x10: the broker took the message, and no one is subscribed to the topic. */
  | { kind: 'unheard' }
  | { kind: 'refused'; reason: string }
  /** The connection ended before the broker answered: the message may or may not have arrived. */
  | { kind: 'interrupted' };

export const TEXT_BYTES_MAX = 64 * 1024;
export const PAYLOAD_BYTES_MAX = 1024 * 1024;

/** Sparkplug B, whose messages are never text. */
export function isBinary(topic: string): boolean {
  return topic.startsWith('spBv1.0/') && !topic.startsWith('spBv1.0/STATE/');
}
