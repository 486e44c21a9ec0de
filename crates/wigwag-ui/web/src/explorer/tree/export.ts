/** Topics with their latest messages as a file. JSON has all there is, CSV what fits into a table. */
import type { Message, Properties } from '../../message/message.ts';
import type { ExportFormat } from '../protocol.ts';

/** In pieces, because a tree may be larger than a string. */
export function exported(messages: readonly Message[], format: ExportFormat): string[] {
  return format === 'json' ? json(messages) : csv(messages);
}

function json(messages: readonly Message[]): string[] {
  const last = messages.length - 1;
  const items = messages.map(
    (message, index) => `  ${JSON.stringify(entry(message))}${index < last ? ',' : ''}\n`,
  );
  return ['[\n', ...items, ']\n'];
}

function entry(message: Message): Record<string, unknown> {
  const { topic, bytes, qos, retain, at } = message;
  const payload = payloadOf(message);
  return {
    topic,
    at: new Date(at).toISOString(),
    qos,
    retain,
    bytes,
    ...(payload.encoding === 'utf8' ? { payload: payload.text } : { payloadBase64: payload.text }),
    // Only the beginning is kept of large ones.
    ...(message.payload.length < bytes ? { isCut: true } : {}),
    ...propertiesOf(message.properties),
  };
}

function propertiesOf(properties: Properties): Record<string, unknown> {
  if (Object.keys(properties).length === 0) return {};
  const { correlationData, ...others } = properties;
  const correlation = correlationData === undefined ? {} : { correlationDataBase64: base64(correlationData) };
  return { properties: { ...others, ...correlation } };
}

function csv(messages: readonly Message[]): string[] {
  const head = 'topic,at,qos,retain,bytes,encoding,payload\r\n';
  return [
    head,
    ...messages.map((message) => {
      const { text, encoding } = payloadOf(message);
      const { topic, at, qos, retain, bytes } = message;
      const cells = [topic, new Date(at).toISOString(), qos, retain, bytes, encoding, text];
      return `${cells.map((value) => cell(String(value))).join(',')}\r\n`;
    }),
  ];
}

/** A spreadsheet takes what begins so for a formula, and anybody may have published it. Numbers are fine. */
const FORMULA = /^(?:[=+@\t\r]|-(?!\d+(?:\.\d+)?$))/;

function cell(text: string): string {
  const safe = FORMULA.test(text) && !/^\+\d+(?:\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const strict = new TextDecoder('utf-8', { fatal: true });

function payloadOf({ payload }: Message): { text: string; encoding: 'utf8' | 'base64' } {
  try {
    return { text: strict.decode(payload), encoding: 'utf8' };
  } catch {
    return { text: base64(payload), encoding: 'base64' };
  }
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
