/**
 * What a payload says, by each way to read it: the choice for a message, and the reading itself. Every result is bounded,
 * whatever the payload holds, and is text: nothing of it is ever markup.
 */
import { decodeCbor } from './cbor.ts';
import { gunzip, isGzip, UNPACKED_BYTES_MAX } from './gzip.ts';
import { base64Of, hexDump } from './hex.ts';
import { imageType } from './image.ts';
import { indentJson, parseJson } from './json.ts';
import type { Message } from './message.ts';
import { decodeMsgpack } from './msgpack.ts';
import { numbersOf } from './numbers.ts';
import { aliasesOf, decodeSparkplug, isSparkplugTopic, sparkplugValue } from './sparkplug.ts';
import type { Value } from './value.ts';
import { DecodeError, formatValue, fromJson } from './value.ts';
import { decodeWire } from './wire.ts';

export const DECODERS = {
  json: 'JSON',
  text: 'Text',
  hex: 'Hex',
  base64: 'Base64',
  cbor: 'CBOR',
  msgpack: 'MessagePack',
  gzip: 'gzip',
  sparkplug: 'Sparkplug B',
  protobuf: 'Protobuf, no schema',
  numbers: 'Numbers',
  image: 'Image',
} as const;

export type DecoderName = keyof typeof DECODERS;

export type Decoded =
  /** `value` is there when the text has a structure, in which numbers can be found. */
  | { kind: 'text'; text: string; note?: string; value?: Value }
  | { kind: 'image'; type: string; bytes: Uint8Array }
  | { kind: 'problem'; problem: string };

/** More text than this helps nobody and makes the page slow. */
export const TEXT_CHARS_MAX = 256 * 1024;

const STRICT = { fatal: true, ignoreBOM: true };

/** Control characters that text does not have; a payload with them is shown as bytes. */
// eslint-disable-next-line no-control-regex -- they are what is looked for
const CONTROLS = /[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]/;

const BY_CONTENT_TYPE: readonly [pattern: RegExp, decoder: DecoderName][] = [
  [/[/+]json\b/i, 'json'],
  [/[/+]cbor\b/i, 'cbor'],
  [/[/+](?:x-|vnd\.)?msgpack\b/i, 'msgpack'],
  [/[/+](?:x-|vnd\.google\.)?protobuf\b/i, 'protobuf'],
];

/** The way that says most of a message, tried and not only guessed. */
export function guess(message: Message): DecoderName {
  const { payload, topic, properties } = message;
  if (payload.length === 0) return 'text';
  if (isGzip(payload)) return 'gzip';
  if (imageType(payload) !== undefined) return 'image';
  const declared = BY_CONTENT_TYPE.find(([pattern]) => pattern.test(properties.contentType ?? ''))?.[1];
  if (declared !== undefined && isReadable(declared, message)) return declared;
  if (isSparkplugTopic(topic) && isReadable('sparkplug', message)) return 'sparkplug';
  const text = textOf(message);
  if (text !== undefined && !CONTROLS.test(text)) return isReadable('json', message) ? 'json' : 'text';
  return (['msgpack', 'cbor'] as const).find((name) => isStructured(name, message)) ?? 'hex';
}

/** Only gzip takes its time. `birth` is the birth certificate of a Sparkplug message, where it is known. */
export async function decode(name: DecoderName, message: Message, birth?: Message): Promise<Decoded> {
  if (name !== 'gzip') return decodeNow(name, message, birth);
  try {
    const { bytes, isCut } = await gunzip(message.payload);
    const inner: Message = { ...message, payload: bytes, bytes: bytes.length };
    const within = guess(inner);
    const decoded = decodeNow(within === 'gzip' ? 'hex' : within, inner, birth);
    if (decoded.kind !== 'text') return decoded;
    // No value: whoever follows numbers through many messages cannot wait for each.
    const { text } = decoded;
    const size = `${DECODERS[within]} in gzip, ${bytes.length} bytes unpacked`;
    return {
      kind: 'text',
      text,
      note: isCut ? `${size}; the rest is beyond ${UNPACKED_BYTES_MAX / 1024} KiB` : size,
    };
  } catch (error) {
    return problem('gzip', message, error);
  }
}

export function decodeNow(name: Exclude<DecoderName, 'gzip'>, message: Message, birth?: Message): Decoded {
  try {
    return bounded(read(name, message, birth));
  } catch (error) {
    return problem(name, message, error);
  }
}

function read(name: Exclude<DecoderName, 'gzip'>, message: Message, birth?: Message): Decoded {
  const { payload } = message;
  switch (name) {
    case 'json':
      return readJson(message);
    case 'text': {
      const text = textOf(message);
      if (text === undefined) throw new DecodeError('it is not UTF-8');
      return { kind: 'text', text };
    }
    case 'hex':
      return { kind: 'text', text: hexDump(payload) };
    case 'base64':
      return { kind: 'text', text: base64Of(payload) };
    case 'cbor':
      return structured(decodeCbor(payload));
    case 'msgpack':
      return structured(decodeMsgpack(payload));
    case 'sparkplug':
      return readSparkplug(payload, birth);
    case 'protobuf':
      return structured(decodeWire(payload));
    case 'numbers':
      return structured(numbersOf(payload));
    case 'image': {
      const type = imageType(payload);
      if (type === undefined) throw new DecodeError('it begins like no picture that a browser can draw');
      return { kind: 'image', type, bytes: payload };
    }
  }
}

function readJson(message: Message): Decoded {
  const text = textOf(message);
  if (text === undefined) throw new DecodeError('it is not UTF-8');
  const value = fromJson(parseJson(text));
  return { kind: 'text', text: indentJson(text), value };
}

function readSparkplug(payload: Uint8Array, birth?: Message): Decoded {
  return structured(
    sparkplugValue(decodeSparkplug(payload), birth === undefined ? undefined : namesOf(birth)),
  );
}

/** A certificate that cannot be read is no fault of the message that needs it. */
function namesOf(birth: Message): Map<number | bigint, string> | undefined {
  try {
    return aliasesOf(decodeSparkplug(birth.payload));
  } catch {
    return undefined;
  }
}

function structured(value: Value): Decoded {
  return { kind: 'text', text: formatValue(value), value };
}

function bounded(decoded: Decoded): Decoded {
  if (decoded.kind !== 'text' || decoded.text.length <= TEXT_CHARS_MAX) return decoded;
  const note = `The first ${TEXT_CHARS_MAX / 1024} Ki characters; the rest is not shown`;
  return { ...decoded, text: decoded.text.slice(0, TEXT_CHARS_MAX), note };
}

function problem(name: DecoderName, message: Message, error: unknown): Decoded {
  if (!(error instanceof DecodeError)) throw error;
  const cut = isCut(message) ? `; only its first ${message.payload.length} bytes are kept` : '';
  return { kind: 'problem', problem: `This payload is not ${DECODERS[name]}: ${error.message}${cut}.` };
}

/** Whether less is kept than came. */
export function isCut(message: Message): boolean {
  return message.payload.length < message.bytes;
}

/** Nothing when it is not UTF-8. Where a payload was cut, half a character at its end is no fault. */
function textOf(message: Message): string | undefined {
  try {
    return new TextDecoder('utf-8', STRICT).decode(message.payload, { stream: isCut(message) });
  } catch {
    return undefined;
  }
}

function isReadable(name: DecoderName, message: Message): boolean {
  return name !== 'gzip' && decodeNow(name, message).kind !== 'problem';
}

/** Almost any bytes are some number in CBOR and MessagePack: only what has parts is taken for it. */
function isStructured(name: 'cbor' | 'msgpack', message: Message): boolean {
  const decoded = decodeNow(name, message);
  if (decoded.kind !== 'text') return false;
  return decoded.value instanceof Map || Array.isArray(decoded.value);
}
