/**
 * mqtt.js as {@link OpenClient} wants it: one connection per call, MQTT 5 over WebSocket, no reconnecting of its own,
 * payloads decoded to bounded text.
 */
import mqtt from 'mqtt';
import type { IClientPublishOptions, IPublishPacket, MqttClient, Packet } from 'mqtt';

import type { BrokerClient, ClientEvents, OpenClient } from './link.ts';
import type { Incoming, Outgoing, PublishOutcome } from './protocol.ts';
import { TEXT_BYTES_MAX } from './protocol.ts';

const KEEP_ALIVE_SECS = 60;
const CONNECT_TIMEOUT_MS = 10_000;
const NO_MATCHING_SUBSCRIBERS = 0x10;
/** Bad User Name or Password, Not authorized. */
const UNAUTHORISED = [0x86, 0x87];

const utf8 = new TextDecoder();

export const openClient: OpenClient = (url, clientId, credentials, events) => {
  const client = mqtt.connect(url, {
    protocolVersion: 5,
    clientId,
    clean: true,
    ...(credentials === undefined ? {} : { username: credentials.userName, password: credentials.password }),
    keepalive: KEEP_ALIVE_SECS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    // The worker's own timers are not throttled in a background tab.
    timerVariant: 'native',
  });
  const closeOnce = listen(client, url, events);
  return {
    subscribe: (filter) => subscribe(client, filter),
    publish: (message) => publish(client, message),
    close: closeOnce,
  } satisfies BrokerClient;
};

function listen(client: MqttClient, url: string, events: ClientEvents): () => void {
  let reason: string | undefined;
  let isUnauthorised = false;
  let opened = false;
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    client.end(true);
    const end = reason ?? (opened ? 'the connection was closed' : `no answer from ${url}`);
    events.handleClosed({ reason: end, isUnauthorised });
  };
  client.on('connect', () => {
    opened = true;
    events.handleConnected();
  });
  client.on('message', (topic, payload, packet) => {
    events.handleMessage(decode(topic, payload, packet));
  });
  client.on('disconnect', (packet) => {
    const code = packet.reasonCode ?? 0;
    reason = `the broker ended the connection: ${reasonText(code)}`;
    isUnauthorised = UNAUTHORISED.includes(code);
  });
  client.on('error', (error) => {
    // A WebSocket that cannot connect reports an event without a word of why; then the general message says more.
    reason ??= 'message' in error && error.message !== '' ? error.message : undefined;
    isUnauthorised ||= 'code' in error && UNAUTHORISED.includes(error.code);
    close();
  });
  client.on('close', close);
  return close;
}

async function subscribe(client: MqttClient, filter: string): Promise<string | undefined> {
  try {
    await client.subscribeAsync(filter, { qos: 1 });
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

async function publish(client: MqttClient, message: Outgoing): Promise<PublishOutcome> {
  const options: IClientPublishOptions = { qos: message.qos, properties: {} };
  if (options.properties !== undefined) {
    if (message.responseTopic !== undefined) options.properties.responseTopic = message.responseTopic;
    if (message.correlation !== undefined) {
      // The encoder takes text for binary data as well; there is no Buffer in a worker to make of it what the type asks.
      options.properties.correlationData = message.correlation as unknown as Buffer;
    }
  }
  try {
    const ack: Packet | undefined = await client.publishAsync(message.topic, message.payload, options);
    const code = ack?.cmd === 'puback' ? (ack as { reasonCode?: number }).reasonCode : 0;
    return { kind: code === NO_MATCHING_SUBSCRIBERS ? 'unheard' : 'accepted' };
  } catch (error) {
    return { kind: 'refused', reason: messageOf(error) };
  }
}

function decode(topic: string, payload: Uint8Array, packet: IPublishPacket): Incoming {
  const correlation = packet.properties?.correlationData;
  return {
    topic,
    text: utf8.decode(payload.subarray(0, TEXT_BYTES_MAX)),
    bytes: payload.length,
    retain: packet.retain,
    qos: packet.qos,
    at: Date.now(),
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
