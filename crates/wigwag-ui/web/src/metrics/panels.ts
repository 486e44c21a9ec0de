/**
 * The charts of the page, as two tables: for what `/metrics` of our broker shows, and for the `$SYS` tree of any broker
 * that follows Mosquitto. A row says which samples make which lines, and how Prometheus is asked for the same.
 */
import type { Line } from '../ui/chart/Chart.tsx';
import type { Labels } from './exposition.ts';
import type { Recording } from './recording.ts';
import { quantile, rate, select, sum } from './series.ts';
import type { Unit } from './units.ts';

export interface PanelSpec {
  title: string;
  about: string;
  unit: Unit;
  lines: readonly LineSpec[];
  promql: readonly string[];
}

export type LineSpec =
  /** The sum of all samples of a name that have these labels, or how fast it grows. */
  | { name: string; of: string; where?: Labels; isRate?: boolean; scale?: number }
  /** A line for each value of a label: how fast its samples grow, for those that ever do. */
  | { each: string; by: string }
  | { name: string; quantile: number; of: string };

/** Lines of one chart; those that are smaller in the end are one line together. */
export const LINES_MAX = 8;

export function linesOf({ lines }: PanelSpec, recording: Recording): Line[] {
  return lines.flatMap((spec) => ('each' in spec ? eachLine(spec, recording) : [oneLine(spec, recording)]));
}

/** The broker says something of what the lines are made of, though it may be that nothing happened. */
export function isTold({ lines }: Pick<PanelSpec, 'lines'>, { columns }: Recording): boolean {
  const names = new Set(lines.map((spec) => ('each' in spec ? spec.each : spec.of)));
  return [...columns.values()].some(({ name }) => names.has(name));
}

/** There is nothing to draw. */
export function isBlank(lines: readonly Line[]): boolean {
  return lines.every(({ values }) => values.every((value) => value === null));
}

function oneLine(spec: Exclude<LineSpec, { each: string }>, recording: Recording): Line {
  const { times } = recording;
  if ('quantile' in spec) {
    return { name: spec.name, values: quantile(times, select(recording, spec.of), spec.quantile) };
  }
  const { name, of, where, isRate = false, scale = 1 } = spec;
  const columns = select(recording, of, where);
  const values = isRate
    ? sum(
        columns.map((column) => ({ values: rate(times, column.values) })),
        times.length,
      )
    : sum(columns, times.length);
  return { name, values: scale === 1 ? values : values.map((value) => value && value * scale) };
}

function eachLine({ each, by }: { each: string; by: string }, recording: Recording): Line[] {
  const { times } = recording;
  const columns = select(recording, each);
  const names = [...new Set(columns.map(({ labels }) => labels[by] ?? ''))];
  const lines = names
    .map((name) => oneLine({ name, of: each, where: { [by]: name }, isRate: true }, recording))
    .map(({ name, values }) => ({ name: name.replaceAll('_', ' '), values }));
  const alive = lines.filter(({ values }) => values.some((value) => value !== null && value > 0));
  // All is quiet: one line that says so, where anything was told at all.
  if (alive.length === 0) return lines.slice(0, 1).map(({ values }) => ({ name: 'none', values }));
  if (alive.length <= LINES_MAX) return alive;
  const bySize = [...alive].sort((one, other) => total(other.values) - total(one.values));
  const rest = bySize.slice(LINES_MAX - 1).map(({ values }) => ({ values: values.map((one) => one ?? NaN) }));
  return [
    ...bySize.slice(0, LINES_MAX - 1),
    { name: `${rest.length} others`, values: sum(rest, times.length) },
  ];
}

function total(values: Line['values']): number {
  return values.reduce<number>((all, value) => all + (value ?? 0), 0);
}

const RANGE = '[1m]';

const received = (of: string) => ({ name: 'received', of, where: { direction: 'received' }, isRate: true });
const sent = (of: string) => ({ name: 'sent', of, where: { direction: 'sent' }, isRate: true });
const rateBy = (label: string, of: string) => `sum by (${label}) (rate(${of}${RANGE}))`;

/** Of our broker's `/metrics`. */
export const NATIVE_PANELS: readonly PanelSpec[] = [
  {
    title: 'Messages',
    about: 'PUBLISH packets a second, from clients and to clients',
    unit: 'per-second',
    lines: [received('wigwag_publish_messages_total'), sent('wigwag_publish_messages_total')],
    promql: [rateBy('direction', 'wigwag_publish_messages_total')],
  },
  {
    title: 'Traffic',
    about: 'Bytes of all MQTT packets a second',
    unit: 'bytes-per-second',
    lines: [received('wigwag_bytes_total'), sent('wigwag_bytes_total')],
    promql: [rateBy('direction', 'wigwag_bytes_total')],
  },
  {
    title: 'Latency',
    about: 'From the read that brought a message until it was written to those who read',
    unit: 'seconds',
    lines: [0.5, 0.95, 0.99].map((q) => ({
      name: `p${q * 100}`,
      quantile: q,
      of: 'wigwag_route_duration_seconds_bucket',
    })),
    promql: [0.5, 0.95, 0.99].map(
      (q) => `histogram_quantile(${q}, sum by (le) (rate(wigwag_route_duration_seconds_bucket${RANGE})))`,
    ),
  },
  {
    title: 'Connections',
    about: 'Connections that are open, and sessions by whether they have one',
    unit: 'count',
    lines: [
      { name: 'open', of: 'wigwag_connections' },
      { name: 'sessions with one', of: 'wigwag_sessions', where: { state: 'connected' } },
      { name: 'sessions without', of: 'wigwag_sessions', where: { state: 'disconnected' } },
    ],
    promql: ['sum(wigwag_connections)', 'sum by (state) (wigwag_sessions)'],
  },
  {
    title: 'Coming and going',
    about: 'Connections a second that were opened, closed, and refused',
    unit: 'per-second',
    lines: [
      { name: 'opened', of: 'wigwag_connections_opened_total', isRate: true },
      { name: 'closed', of: 'wigwag_connections_closed_total', isRate: true },
      { name: 'refused', of: 'wigwag_connections_refused_total', isRate: true },
    ],
    promql: [
      `sum(rate(wigwag_connections_opened_total${RANGE}))`,
      rateBy('reason', 'wigwag_connections_closed_total'),
      rateBy('reason', 'wigwag_connections_refused_total'),
    ],
  },
  {
    title: 'Dropped',
    about: 'Messages a second that somebody did not get, or nobody wanted, by reason',
    unit: 'per-second',
    lines: [{ each: 'wigwag_messages_dropped_total', by: 'reason' }],
    promql: [rateBy('reason', 'wigwag_messages_dropped_total')],
  },
  {
    title: 'Refused by rules',
    about: 'Clients that were not let in, and topics that were not allowed, a second',
    unit: 'per-second',
    lines: [
      { name: 'clients', of: 'wigwag_auth_total', where: { result: 'denied' }, isRate: true },
      { name: 'topics', of: 'wigwag_acl_checks_total', where: { result: 'denied' }, isRate: true },
    ],
    promql: [
      `sum(rate(wigwag_auth_total{result="denied"}${RANGE}))`,
      `sum by (action) (rate(wigwag_acl_checks_total{result="denied"}${RANGE}))`,
    ],
  },
  {
    title: 'Queues',
    about: 'Messages that wait for sessions, for acknowledgement and for release',
    unit: 'count',
    lines: [
      { name: 'queued', of: 'wigwag_queue_messages' },
      { name: 'in flight', of: 'wigwag_inflight_messages' },
      { name: 'unreleased', of: 'wigwag_unreleased_messages' },
    ],
    promql: ['wigwag_queue_messages', 'wigwag_inflight_messages', 'wigwag_unreleased_messages'],
  },
  {
    title: 'Waiting bytes',
    about: 'Bytes of what waits for sessions, and of what waits to be written to connections',
    unit: 'bytes',
    lines: [
      { name: 'in queues', of: 'wigwag_queue_bytes' },
      { name: 'to be written', of: 'wigwag_out_buffer_bytes' },
    ],
    promql: ['wigwag_queue_bytes', 'wigwag_out_buffer_bytes'],
  },
  {
    title: 'Memory',
    about: 'Memory of the process, and what of it is held for clients',
    unit: 'bytes',
    lines: [
      { name: 'process', of: 'process_resident_memory_bytes' },
      { name: 'held for clients', of: 'wigwag_held_bytes' },
    ],
    promql: ['process_resident_memory_bytes', 'wigwag_held_bytes'],
  },
  {
    title: 'Processor',
    about: 'Processor time of the process; 100 % is one core',
    unit: 'cores',
    lines: [{ name: 'process', of: 'process_cpu_seconds_total', isRate: true }],
    promql: [`rate(process_cpu_seconds_total${RANGE})`],
  },
  {
    title: 'Subscriptions',
    about: 'Subscriptions of all sessions, and retained messages',
    unit: 'count',
    lines: [
      { name: 'subscriptions', of: 'wigwag_subscriptions' },
      { name: 'retained messages', of: 'wigwag_retained_messages' },
    ],
    promql: ['sum(wigwag_subscriptions)', 'wigwag_retained_messages'],
  },
];

const perMinute = (name: string, topic: string) => ({ name, of: `$SYS/broker/load/${topic}`, scale: 1 / 60 });
const grows = (name: string, topic: string) => ({ name, of: `$SYS/broker/${topic}`, isRate: true });
const stands = (name: string, topic: string) => ({ name, of: `$SYS/broker/${topic}` });

/** Of a `$SYS` tree like Mosquitto's; Prometheus gets it through an exporter. */
export const SYS_PANELS: readonly PanelSpec[] = [
  {
    title: 'Messages',
    about: 'PUBLISH packets a second, from clients and to clients',
    unit: 'per-second',
    lines: [grows('received', 'publish/messages/received'), grows('sent', 'publish/messages/sent')],
    promql: ['rate(broker_publish_messages_received[5m])', 'rate(broker_publish_messages_sent[5m])'],
  },
  {
    title: 'Traffic',
    about: 'Bytes of all MQTT packets a second',
    unit: 'bytes-per-second',
    lines: [grows('received', 'bytes/received'), grows('sent', 'bytes/sent')],
    promql: ['rate(broker_bytes_received[5m])', 'rate(broker_bytes_sent[5m])'],
  },
  {
    title: 'Clients',
    about: 'Sessions, by whether they have a connection',
    unit: 'count',
    lines: [stands('connected', 'clients/connected'), stands('disconnected', 'clients/disconnected')],
    promql: ['broker_clients_connected', 'broker_clients_disconnected'],
  },
  {
    title: 'Coming',
    about: 'Connections that were accepted and CONNECT packets a second, averaged over a minute',
    unit: 'per-second',
    lines: [perMinute('connections', 'sockets/1min'), perMinute('CONNECT', 'connections/1min')],
    promql: ['broker_load_sockets_1min / 60', 'broker_load_connections_1min / 60'],
  },
  {
    title: 'Dropped',
    about: 'Messages a second that a client did not get',
    unit: 'per-second',
    lines: [grows('dropped', 'publish/messages/dropped')],
    promql: ['rate(broker_publish_messages_dropped[5m])'],
  },
  {
    title: 'Stored messages',
    about: 'Messages that are retained, queued or in flight, and those of them that are retained',
    unit: 'count',
    lines: [stands('stored', 'store/messages/count'), stands('retained', 'retained messages/count')],
    promql: ['broker_store_messages_count', 'broker_retained_messages_count'],
  },
  {
    title: 'Stored bytes',
    about: 'Bytes of the payloads of stored messages',
    unit: 'bytes',
    lines: [stands('stored', 'store/messages/bytes')],
    promql: ['broker_store_messages_bytes'],
  },
  {
    title: 'Subscriptions',
    about: 'Subscriptions of all sessions, by whether they are shared',
    unit: 'count',
    lines: [stands('subscriptions', 'subscriptions/count'), stands('shared', 'shared_subscriptions/count')],
    promql: ['broker_subscriptions_count', 'broker_shared_subscriptions_count'],
  },
  {
    title: 'Memory',
    about: 'Bytes of memory in use, and the most there were',
    unit: 'bytes',
    lines: [stands('in use', 'heap/current'), stands('most', 'heap/maximum')],
    promql: ['broker_heap_current', 'broker_heap_maximum'],
  },
];
