/** A message as a line of JSON, in the form that `wigwag record` writes and `wigwag replay` reads. */
import { base64Of } from '../../message/hex.ts';
import type { Message, Properties } from '../../message/message.ts';

/** With its end. The payload has to be whole. */
export function lineOf({ at, topic, qos, retain, payload, properties }: Message): string {
  const line = {
    time: new Date(at).toISOString(),
    topic,
    qos,
    retain,
    ...textOrBase64('payload', payload),
    ...(Object.keys(properties).length === 0 ? {} : { properties: membersOf(properties) }),
  };
  return `${JSON.stringify(line)}\n`;
}

function membersOf(properties: Properties): Record<string, unknown> {
  const { correlationData, subscriptionIdentifiers, userProperties } = properties;
  // What is undefined, JSON leaves out.
  return {
    payload_format_indicator: properties.payloadFormatIndicator,
    message_expiry_interval: properties.messageExpiryInterval,
    content_type: properties.contentType,
    response_topic: properties.responseTopic,
    ...(correlationData === undefined ? {} : textOrBase64('correlation_data', correlationData)),
    subscription_identifiers: subscriptionIdentifiers,
    user_properties: userProperties,
  };
}

/** A mark of byte order at the beginning is part of the text, and comes back with it. */
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOrBase64(name: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [name]: strict.decode(bytes) };
  } catch {
    return { [`${name}_base64`]: base64Of(bytes) };
  }
}
