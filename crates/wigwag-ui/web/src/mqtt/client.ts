/**
 * mqtt.js as {@link OpenClient} wants it: one connection per call, MQTT over WebSocket, no reconnecting of its own.
 * What is made of a message is up to who opens.
 */
import mqtt from 'mqtt';
import type {
  IClientPublishOptions,
  IClientSubscribeOptions,
  IPublishPacket,
  MqttClient,
  Packet,
} from 'mqtt';

import type { Properties } from '../message/message.ts';
import { gatherWrites } from './gathering.ts';
import type { BrokerClient, ClientEvents, OpenClient } from './link.ts';
import type { Incoming, Outgoing, PublishOutcome } from './protocol.ts';
import { isBinary, PAYLOAD_BYTES_MAX, TEXT_BYTES_MAX } from './protocol.ts';

const KEEP_ALIVE_SECS = 60;
const CONNECT_TIMEOUT_MS = 10_000;
const NO_MATCHING_SUBSCRIBERS = 0x10;
/** Bad User Name or Password, Not authorized; the same of MQTT 3.1.1. */
const UNAUTHORISED = [0x86, 0x87, 0x04, 0x05];
/** Unsupported Protocol Version, in the words of MQTT 5 and of those who do not know it. */
const VERSION_UNKNOWN = [0x84, 0x01];

const utf8 = new TextDecoder();

/** How messages are asked for, and what is made of them. */
export interface Taste<Message> {
  subscribe: IClientSubscribeOptions;
  read: (packet: IPublishPacket, payload: Uint8Array) => Message;
}

/** Payloads as bounded text. */
export const openClient: OpenClient<Incoming> = openWith({ subscribe: { qos: 1 }, read: decode });

export function openWith<Message>(taste: Taste<Message>): OpenClient<Message> {
  return (url, clientId, credentials, events, version) => {
    const farewell: Farewell = {};
    const client = mqtt.connect(url, {
      protocolVersion: version,
      clientId,
      clean: true,
      ...(credentials === undefined
        ? {}
        : { username: credentials.userName, password: credentials.password }),
      keepalive: KEEP_ALIVE_SECS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      // The worker's own timers are not throttled in a background tab.
      timerVariant: 'native',
      createWebsocket: (address, protocols) => openSocket(address, protocols, farewell),
    });
    const closeOnce = listen(client, url, taste, events, farewell);
    return {
      subscribe: (filter) => subscribe(client, filter, taste.subscribe),
      unsubscribe: (filter) => {
        unsubscribe(client, filter);
      },
      publish: (message) => publish(client, message),
      close: closeOnce,
    } satisfies BrokerClient;
  };
}

/** What the other end of the WebSocket said when it closed it: the server of the page may know why it cannot go on. */
interface Farewell {
  reason?: string;
}

function openSocket(url: string, protocols: string[], farewell: Farewell): WebSocket {
  const socket = new WebSocket(url, protocols);
  socket.addEventListener('close', ({ reason }) => {
    if (reason !== '') farewell.reason = reason;
  });
  gatherWrites(socket);
  return socket;
}

function listen<Message>(
  client: MqttClient,
  url: string,
  taste: Taste<Message>,
  events: ClientEvents<Message>,
  farewell: Farewell,
): () => void {
  let reason: string | undefined;
  let isUnauthorised = false;
  let isVersionUnknown = false;
  let opened = false;
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    client.end(true);
    const silence = opened ? 'the connection was closed' : `no answer from ${url}`;
    const end = reason ?? farewell.reason ?? silence;
    events.handleClosed({ reason: end, isUnauthorised, isVersionUnknown });
  };
  client.on('connect', () => {
    opened = true;
    events.handleConnected();
  });
  client.on('message', (_topic, payload, packet) => {
    events.handleMessage(taste.read(packet, payload));
  });
  client.on('disconnect', (packet) => {
    const code = packet.reasonCode ?? 0;
    reason = `the broker ended the connection: ${reasonText(code)}`;
    isUnauthorised = UNAUTHORISED.includes(code);
  });
  client.on('error', (error) => {
    // A WebSocket that cannot connect reports an event without a word of why; then the general message says more.
    reason ??= 'message' in error && error.message !== '' ? error.message : undefined;
    if ('code' in error) {
      isUnauthorised ||= UNAUTHORISED.includes(error.code);
      isVersionUnknown ||= VERSION_UNKNOWN.includes(error.code);
    }
    close();
  });
  client.on('close', close);
  return close;
}

async function subscribe(
  client: MqttClient,
  filter: string,
  options: IClientSubscribeOptions,
): Promise<string | undefined> {
  try {
    await client.subscribeAsync(filter, options);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** A connection that ends meanwhile takes the subscription with it. */
function unsubscribe(client: MqttClient, filter: string): void {
  client.unsubscribe(filter, () => undefined);
}

async function publish(client: MqttClient, message: Outgoing): Promise<PublishOutcome> {
  const options: IClientPublishOptions = {
    qos: message.qos,
    retain: message.retain ?? false,
    properties: propertiesFor(message),
  };
  // The encoder takes any bytes; there is no Buffer in a worker to make of them what the type asks.
  const payload = message.payload as string | Buffer;
  try {
    const ack: Packet | undefined = await client.publishAsync(message.topic, payload, options);
    const code = ack?.cmd === 'puback' ? (ack as { reasonCode?: number }).reasonCode : 0;
    return { kind: code === NO_MATCHING_SUBSCRIBERS ? 'unheard' : 'accepted' };
  } catch (error) {
    return { kind: 'refused', reason: messageOf(error) };
  }
}

type PacketProperties = NonNullable<IClientPublishOptions['properties']>;

function propertiesFor({ properties, responseTopic, correlation }: Outgoing): PacketProperties {
  const packet = properties === undefined ? {} : packetProperties(properties);
  if (responseTopic !== undefined) packet.responseTopic = responseTopic;
  // Text is fine for the encoder as well.
  if (correlation !== undefined) packet.correlationData = correlation as unknown as Buffer;
  return packet;
}

/** Subscription Identifiers are the broker's to add. */
function packetProperties(properties: Properties): PacketProperties {
  const packet: PacketProperties = {};
  if (properties.payloadFormatIndicator !== undefined) {
    packet.payloadFormatIndicator = properties.payloadFormatIndicator === 1;
  }
  if (properties.messageExpiryInterval !== undefined) {
    packet.messageExpiryInterval = properties.messageExpiryInterval;
  }
  if (properties.contentType !== undefined) packet.contentType = properties.contentType;
  if (properties.responseTopic !== undefined) packet.responseTopic = properties.responseTopic;
  if (properties.correlationData !== undefined) {
    packet.correlationData = properties.correlationData as Buffer;
  }
  if (properties.userProperties !== undefined) {
    const grouped: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
    for (const [name, value] of properties.userProperties) (grouped[name] ??= []).push(value);
    packet.userProperties = grouped;
  }
  return packet;
}

function decode(packet: IPublishPacket, payload: Uint8Array): Incoming {
  const correlation = packet.properties?.correlationData;
  const isText = !isBinary(packet.topic);
  return {
    topic: packet.topic,
    text: isText ? utf8.decode(payload.subarray(0, TEXT_BYTES_MAX)) : '',
    bytes: payload.length,
    retain: packet.retain,
    qos: packet.qos,
    at: Date.now(),
    // Copied: mqtt.js hands out windows on its read buffer, and the page would get all of that.
    ...(isText ? {} : { payload: new Uint8Array(payload.subarray(0, PAYLOAD_BYTES_MAX)) }),
    ...(correlation === undefined ? {} : { correlation: utf8.decode(correlation) }),
  };
}

function reasonText(code: number): string {
  const names: Record<number, string | undefined> = mqtt.ReasonCodes;
  const name = names[code];
  const hex = `0x${code.toString(16).padStart(2, '0')}`;
  return name === undefined || name === '' ? hex : `${name} (${hex})`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
