/**
 * What brokers say of themselves below `$SYS`, as families like those of `/metrics`: the name is the topic. The table has
 * what Mosquitto publishes, and we do; what else is a number is shown without a word about it.
 */
import type { Family, Kind } from './exposition.ts';

export const SYS_FILTER = '$SYS/#';

interface Row {
  topic: string;
  kind: Kind;
  help: string;
}

const counter = (topic: string, help: string): Row => ({ topic, kind: 'counter', help });
const gauge = (topic: string, help: string): Row => ({ topic, kind: 'gauge', help });

const ROWS: readonly Row[] = [
  gauge('uptime', 'Seconds since the start'),
  gauge('clients/total', 'Sessions, connected and disconnected'),
  gauge('clients/maximum', 'Most sessions there ever were'),
  gauge('clients/disconnected', 'Sessions without a connection'),
  gauge('clients/inactive', 'Sessions without a connection'),
  gauge('clients/connected', 'Sessions with a connection'),
  gauge('clients/active', 'Sessions with a connection'),
  counter('clients/expired', 'Sessions that ended because their Session Expiry Interval passed'),
  gauge('messages/stored', 'Messages that are retained, queued or in flight'),
  gauge('store/messages/count', 'Messages that are retained, queued or in flight'),
  gauge('store/messages/bytes', 'Bytes of their payloads'),
  gauge('subscriptions/count', 'Subscriptions of all sessions that are not shared'),
  gauge('shared_subscriptions/count', 'Shared subscriptions of all sessions'),
  gauge('retained messages/count', 'Retained messages'),
  gauge('heap/current', 'Bytes of memory in use'),
  gauge('heap/maximum', 'Most bytes of memory that were in use'),
  counter('messages/received', 'Packets of any type from clients'),
  counter('messages/sent', 'Packets of any type to clients'),
  counter('bytes/received', 'Bytes from clients'),
  counter('bytes/sent', 'Bytes to clients'),
  counter('publish/bytes/received', 'Bytes of the payloads of PUBLISH packets from clients'),
  counter('publish/bytes/sent', 'Bytes of the payloads of PUBLISH packets to clients'),
  gauge('packet/out/count', 'Packets that wait to be written to connections'),
  gauge('packet/out/bytes', 'Bytes that wait to be written to connections'),
  counter('connections/socket/count', 'Connections that were accepted'),
  counter('publish/messages/dropped', 'Messages that a client did not get'),
  counter('publish/messages/received', 'PUBLISH packets from clients'),
  counter('publish/messages/sent', 'PUBLISH packets to clients'),
];

const LOADS: readonly [string, string][] = [
  ['messages/received', 'Packets of any type from clients'],
  ['messages/sent', 'Packets of any type to clients'],
  ['publish/dropped', 'Messages that a client did not get'],
  ['publish/received', 'PUBLISH packets from clients'],
  ['publish/sent', 'PUBLISH packets to clients'],
  ['bytes/received', 'Bytes from clients'],
  ['bytes/sent', 'Bytes to clients'],
  ['sockets', 'Connections that were accepted'],
  ['connections', 'CONNECT packets'],
];
const MINUTES = [1, 5, 15];

const KNOWN: ReadonlyMap<string, Row> = new Map(
  [
    ...ROWS,
    ...LOADS.flatMap(([what, help]) =>
      MINUTES.map((minutes) =>
        gauge(`load/${what}/${minutes}min`, `${help}, a minute, averaged over ${minutes} min`),
      ),
    ),
  ].map((row) => [`$SYS/broker/${row.topic}`, row]),
);

/** Such as `17`, `0.25`, or `42 seconds`. */
const NUMBER = /^(-?\d+(?:\.\d+)?)(?: seconds)?$/;

export function readNumber(payload: string): number | undefined {
  const digits = NUMBER.exec(payload)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function familyOfTopic(topic: string, value: number): Family {
  const { kind, help } = KNOWN.get(topic) ?? { kind: 'untyped', help: '' };
  return { name: topic, kind, help, samples: [{ name: topic, labels: {}, value }] };
}

/** How exporters of Mosquitto call a topic, ours among them; nothing for topics that not all of them know. */
export function exportedName(topic: string): string | undefined {
  return KNOWN.has(topic) ? topic.slice('$SYS/'.length).replace(/[^a-zA-Z0-9]/g, '_') : undefined;
}
