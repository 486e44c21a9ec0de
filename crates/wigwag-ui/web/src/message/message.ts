/**
 * A message as the Explorer keeps and shows it: bytes, not text, and all properties of MQTT 5. What the bytes mean is
 * the business of `decode.ts`; where messages are kept is that of whoever keeps them.
 */
import type { IPublishPacket } from 'mqtt';

export interface Message {
  /** Counts up from 1 among the messages of its topic, kept or not. */
  seq: number;
  topic: string;
  /** The beginning of the payload, at most {@link PAYLOAD_BYTES_MAX}; all of it in a recording. */
  payload: Uint8Array;
  /** Size of the whole payload. */
  bytes: number;
  retain: boolean;
  qos: 0 | 1 | 2;
  /** When it came, in milliseconds of the wall clock. */
  at: number;
  properties: Properties;
}

/** By the names of the standard; what the message does not have is absent. */
export interface Properties {
  payloadFormatIndicator?: 0 | 1;
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  /** A name may occur more than once. */
  userProperties?: readonly UserProperty[];
  subscriptionIdentifiers?: readonly number[];
}

export type UserProperty = readonly [name: string, value: string];

/** What is known of one topic. `useTopic` makes it; it may be asked for several topics at once. */
export interface TopicView {
  topic: string;
  /** Those still kept, oldest first; the last one is the latest. The same objects from view to view. */
  history: readonly Message[];
  /** All messages of the topic since the page was opened, kept or not. */
  total: number;
}

export const PAYLOAD_BYTES_MAX = 64 * 1024;

const NONE: Properties = {};

/** Copies: mqtt.js hands out windows on its read buffer, and would keep all of that alive. */
export function messageOf(
  packet: IPublishPacket,
  payload: Uint8Array,
  seq: number,
  at: number,
  bytesMax = PAYLOAD_BYTES_MAX,
): Message {
  return {
    seq,
    topic: packet.topic,
    payload: new Uint8Array(payload.subarray(0, bytesMax)),
    bytes: payload.length,
    retain: packet.retain,
    qos: packet.qos,
    at,
    properties: packet.properties === undefined ? NONE : propertiesOf(packet.properties),
  };
}

function propertiesOf(packet: NonNullable<IPublishPacket['properties']>): Properties {
  const properties: Properties = {};
  if (packet.payloadFormatIndicator !== undefined) {
    properties.payloadFormatIndicator = packet.payloadFormatIndicator ? 1 : 0;
  }
  if (packet.messageExpiryInterval !== undefined) {
    properties.messageExpiryInterval = packet.messageExpiryInterval;
  }
  if (packet.contentType !== undefined) properties.contentType = packet.contentType;
  if (packet.responseTopic !== undefined) properties.responseTopic = packet.responseTopic;
  if (packet.correlationData !== undefined)
    properties.correlationData = new Uint8Array(packet.correlationData);
  if (packet.userProperties !== undefined)
    properties.userProperties = userPropertiesOf(packet.userProperties);
  if (packet.subscriptionIdentifier !== undefined) {
    properties.subscriptionIdentifiers = [packet.subscriptionIdentifier].flat();
  }
  return properties;
}

/** mqtt.js groups the values of a name that occurs more than once, and with that loses the order between names. */
function userPropertiesOf(properties: Record<string, string | string[]>): UserProperty[] {
  return Object.entries(properties).flatMap(([name, values]) =>
    [values].flat().map((value): UserProperty => [name, value]),
  );
}
