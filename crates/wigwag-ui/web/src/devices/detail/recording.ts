/** What the broker has recorded of a topic, a page at a time. Pure but for the question itself. */
import type { Ask } from '../../api.ts';
import { isRecord } from '../../api.ts';
import type { Incoming } from '../../mqtt/protocol.ts';
import { isBinary, TEXT_BYTES_MAX } from '../../mqtt/protocol.ts';

export interface RecordedPage {
  messages: readonly Incoming[];
  /** Where to go on, if there is more. */
  next: number | undefined;
  /** Nothing older is kept. */
  recordedSince: number | undefined;
  /** Whether the broker records the topic at all. */
  isRecorded: boolean;
}

export interface Span {
  from: number;
  to: number;
}

export type ReadPage = (topic: string, span: Span, stopped: AbortSignal) => Promise<RecordedPage>;

/** Messages in one answer. */
const LIMIT = 2_000;

export function pagesOf(ask: Ask): ReadPage {
  return async (topic, { from, to }, stopped) =>
    readPage(await ask('history', { topic, from, to, limit: LIMIT }, stopped), topic);
}

export function readPage(answer: unknown, topic: string): RecordedPage {
  if (!isRecord(answer) || !Array.isArray(answer.messages)) {
    throw new Error('the server’s answer is not a list of messages');
  }
  // It broke off while it was sent.
  if (typeof answer.error === 'string') throw new Error(answer.error);
  const messages = answer.messages.map((said) => readMessage(said, topic));
  return {
    messages: messages.filter((message) => message !== undefined),
    next: numberIn(answer.next),
    recordedSince: numberIn(answer.recordedSince),
    isRecorded: answer.recorded !== false,
  };
}

function readMessage(said: unknown, topic: string): Incoming | undefined {
  if (!isRecord(said)) return undefined;
  const at = numberIn(said.at);
  const payload = payloadOf(said);
  if (at === undefined || payload === undefined) return undefined;
  const qos = said.qos === 1 || said.qos === 2 ? said.qos : 0;
  return {
    topic,
    text: new TextDecoder().decode(payload.subarray(0, TEXT_BYTES_MAX)),
    // Of a long one the beginning is kept.
    bytes: numberIn(said.length) ?? payload.length,
    retain: said.retain === true,
    qos,
    at,
    ...(isBinary(topic) ? { payload } : {}),
  };
}

function payloadOf({ payload, payloadBase64 }: Record<string, unknown>): Uint8Array | undefined {
  if (typeof payload === 'string') return new TextEncoder().encode(payload);
  if (typeof payloadBase64 !== 'string') return undefined;
  try {
    return Uint8Array.from(atob(payloadBase64), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function numberIn(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
