/** A message as somebody types it, and what it becomes: an MQTT message, or what is wrong in which field. Pure. */
import { base64Of, bytesOfBase64, bytesOfHex } from '../../message/hex.ts';
import type { Message, Properties } from '../../message/message.ts';
import { hexOf } from '../../message/value.ts';
import type { Outgoing } from '../../mqtt/protocol.ts';
import { formatBytes } from '../../ui/format.ts';

export type Format = 'text' | 'json' | 'hex' | 'base64';

export const FORMATS: Record<Format, string> = { text: 'Text', json: 'JSON', hex: 'Hex', base64: 'Base64' };

export interface Draft {
  topic: string;
  payload: string;
  format: Format;
  /** In the place of what is typed. */
  file: PayloadFile | undefined;
  qos: 0 | 1 | 2;
  retain: boolean;
  contentType: string;
  responseTopic: string;
  /** Text, or bytes as hex digits after `0x`. */
  correlation: string;
  /** Seconds. */
  expiry: string;
  /** Payload Format Indicator: the payload is UTF-8. */
  isUtf8: boolean;
  userProperties: readonly { name: string; value: string }[];
}

export interface PayloadFile {
  name: string;
  bytes: Uint8Array;
}

export type Problems = Partial<Record<keyof Draft, string>>;

/** All of it is text: what can be kept and passed on. */
export type WrittenDraft = Omit<Draft, 'file'>;

export const BLANK: WrittenDraft = {
  topic: '',
  payload: '',
  format: 'text',
  qos: 0,
  retain: false,
  contentType: '',
  responseTopic: '',
  correlation: '',
  expiry: '',
  isUtf8: false,
  userProperties: [],
};

export const EMPTY: Draft = { ...BLANK, file: undefined };

export const USER_PROPERTIES_MAX = 32;
/** What a page sends as one message; brokers have bounds of their own. */
export const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** A string of MQTT has its length in two bytes, a number of seconds in four. */
const STRING_BYTES_MAX = 65_535;
const EXPIRY_MAX = 4_294_967_295;

export function readDraft(draft: Draft): { message: Outgoing } | { problems: Problems } {
  const problems: Problems = {};
  const note = (field: keyof Draft, problem: string | undefined): void => {
    if (problem !== undefined) problems[field] = problem;
  };
  const payload = payloadOf(draft);
  const correlation = correlationOf(draft.correlation);
  note('topic', topicProblem(draft.topic));
  note('payload', 'problem' in payload ? payload.problem : undefined);
  note('responseTopic', draft.responseTopic === '' ? undefined : topicProblem(draft.responseTopic));
  note('contentType', stringProblem(draft.contentType));
  note('correlation', 'problem' in correlation ? correlation.problem : undefined);
  note('expiry', expiryProblem(draft.expiry));
  note('userProperties', userPropertiesProblem(draft));
  if ('problem' in payload || 'problem' in correlation || Object.keys(problems).length > 0)
    return { problems };
  const properties = propertiesOf(draft, correlation.bytes);
  const { topic, qos, retain } = draft;
  return { message: { topic, payload: payload.bytes, qos, retain, properties } };
}

/** For sending a message again, or something like it. */
export function draftOf(message: Message): Draft {
  const { properties } = message;
  const { correlationData } = properties;
  const text = textOf(message.payload);
  return {
    topic: message.topic,
    payload: text ?? base64Of(message.payload),
    format: text === undefined ? 'base64' : 'text',
    file: undefined,
    qos: message.qos,
    retain: message.retain,
    contentType: properties.contentType ?? '',
    responseTopic: properties.responseTopic ?? '',
    correlation:
      correlationData === undefined ? '' : (plainText(correlationData) ?? `0x${hexOf(correlationData)}`),
    expiry: properties.messageExpiryInterval === undefined ? '' : String(properties.messageExpiryInterval),
    isUtf8: properties.payloadFormatIndicator === 1,
    userProperties: (properties.userProperties ?? []).map(([name, value]) => ({ name, value })),
  };
}

function payloadOf({ payload, format, file, isUtf8 }: Draft): { bytes: Uint8Array } | { problem: string } {
  if (file !== undefined) return bytesAs(file.bytes, isUtf8);
  switch (format) {
    case 'text':
      return { bytes: utf8(payload) };
    case 'json':
      try {
        JSON.parse(payload);
        return { bytes: utf8(payload) };
      } catch (error) {
        return { problem: `This is not JSON: ${error instanceof Error ? error.message : String(error)}` };
      }
    case 'hex':
    case 'base64': {
      const bytes = format === 'hex' ? bytesOfHex(payload) : bytesOfBase64(payload);
      if (bytes === undefined) {
        return {
          problem: format === 'hex' ? 'Hex is pairs of digits, such as 0a ff.' : 'This is not Base64.',
        };
      }
      return bytesAs(bytes, isUtf8);
    }
  }
}

function bytesAs(bytes: Uint8Array, isUtf8: boolean): { bytes: Uint8Array } | { problem: string } {
  return isUtf8 && textOf(bytes) === undefined
    ? { problem: 'These bytes are not UTF-8, which the Payload Format Indicator says they are.' }
    : { bytes };
}

/** The bytes of a file that somebody has chosen, or why they cannot be had. */
export async function readFile(file: File): Promise<PayloadFile | { problem: string }> {
  if (file.size > FILE_BYTES_MAX) {
    return {
      problem: `This file has ${formatBytes(file.size)}; at most ${formatBytes(FILE_BYTES_MAX)} are sent from here.`,
    };
  }
  try {
    return { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
  } catch (error) {
    return { problem: `The file cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function propertiesOf(draft: Draft, correlation: Uint8Array | undefined): Properties {
  const properties: Properties = {};
  if (draft.isUtf8) properties.payloadFormatIndicator = 1;
  if (draft.contentType !== '') properties.contentType = draft.contentType;
  if (draft.responseTopic !== '') properties.responseTopic = draft.responseTopic;
  if (correlation !== undefined) properties.correlationData = correlation;
  if (draft.expiry !== '') properties.messageExpiryInterval = Number(draft.expiry);
  if (draft.userProperties.length > 0) {
    properties.userProperties = draft.userProperties.map(({ name, value }) => [name, value] as const);
  }
  return properties;
}

function topicProblem(topic: string): string | undefined {
  if (topic === '') return 'A topic has at least one character.';
  if (/[+#]/.test(topic)) return 'Nobody can publish to a wildcard: + and # are for subscriptions.';
  return stringProblem(topic);
}

function stringProblem(text: string): string | undefined {
  if (text.includes('\0')) return 'MQTT does not allow the character U+0000.';
  return utf8(text).length > STRING_BYTES_MAX ? 'This is longer than the 65,535 bytes of MQTT.' : undefined;
}

function expiryProblem(text: string): string | undefined {
  const isWhole = /^\d{1,10}$/.test(text) && Number(text) <= EXPIRY_MAX;
  return text === '' || isWhole ? undefined : `Whole seconds, from 0 to ${EXPIRY_MAX}.`;
}

function userPropertiesProblem({ userProperties }: Draft): string | undefined {
  return userProperties
    .flatMap(({ name, value }) => [stringProblem(name), stringProblem(value)])
    .find(Boolean);
}

function correlationOf(text: string): { bytes: Uint8Array | undefined } | { problem: string } {
  if (text === '') return { bytes: undefined };
  const bytes = text.startsWith('0x') ? bytesOfHex(text.slice(2)) : utf8(text);
  if (bytes === undefined) return { problem: 'After 0x come pairs of hex digits, such as 0x0aff.' };
  return bytes.length > STRING_BYTES_MAX
    ? { problem: 'This is longer than the 65,535 bytes of MQTT.' }
    : { bytes };
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Text that is not taken for hex when it is read back. */
function plainText(bytes: Uint8Array): string | undefined {
  const text = textOf(bytes);
  return text === undefined || text.startsWith('0x') || /\p{Cc}/u.test(text) ? undefined : text;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
