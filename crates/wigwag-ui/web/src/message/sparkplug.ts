/**
 * Payloads of Sparkplug B: metrics with their types and values. Names of metrics that a message gives by alias only are
 * in the birth certificate, which whoever wants them has to bring along.
 */
import { ByteReader, integer } from './byte-reader.ts';
import type { Field } from './protobuf.ts';
import { readFields } from './protobuf.ts';
import type { Value, ValueMap } from './value.ts';
import { DecodeError, DEPTH_MAX, tooDeep } from './value.ts';

export interface SparkplugPayload {
  /** Milliseconds since 1970. */
  timestamp?: number | bigint;
  metrics: Metric[];
  seq?: number | bigint;
  uuid?: string;
  body?: Uint8Array;
}

export interface Metric {
  name?: string;
  alias?: number | bigint;
  timestamp?: number | bigint;
  /** As the specification names it, such as `Int32`; absent when the message leaves it to the birth certificate. */
  type?: string;
  /** null when the message says so. */
  value: Value;
  isHistorical?: boolean;
  isTransient?: boolean;
  properties?: ValueMap;
}

const TOPIC = /^spBv1\.0\/[^/]+\/[ND](?:BIRTH|DEATH|DATA|CMD)\/[^/]+(?:\/[^/]+)?$/;

/** By the number of their type. */
const TYPES = [
  'Unknown',
  'Int8',
  'Int16',
  'Int32',
  'Int64',
  'UInt8',
  'UInt16',
  'UInt32',
  'UInt64',
  'Float',
  'Double',
  'Boolean',
  'String',
  'DateTime',
  'Text',
  'UUID',
  'DataSet',
  'Bytes',
  'File',
  'Template',
  'PropertySet',
  'PropertySetList',
  'Int8Array',
  'Int16Array',
  'Int32Array',
  'Int64Array',
  'UInt8Array',
  'UInt16Array',
  'UInt32Array',
  'UInt64Array',
  'FloatArray',
  'DoubleArray',
  'BooleanArray',
  'StringArray',
  'DateTimeArray',
];

const SIGNED_BITS: Record<string, number | undefined> = { Int8: 8, Int16: 16, Int32: 32, Int64: 64 };

export function isSparkplugTopic(topic: string): boolean {
  return TOPIC.test(topic);
}

/** Where the names of the aliases of this topic are, if it may have some. */
export function birthTopic(topic: string): string | undefined {
  if (!isSparkplugTopic(topic)) return undefined;
  return topic.replace(/^(spBv1\.0\/[^/]+\/[ND])(?:DEATH|DATA|CMD)\//, '$1BIRTH/');
}

export function decodeSparkplug(bytes: Uint8Array): SparkplugPayload {
  const payload: SparkplugPayload = { metrics: [] };
  for (const field of readFields(bytes)) {
    switch (field.number) {
      case 1:
        payload.timestamp = int(field);
        break;
      case 2:
        payload.metrics.push(readMetric(field, 0));
        break;
      case 3:
        payload.seq = int(field);
        break;
      case 4:
        payload.uuid = text(field);
        break;
      case 5:
        payload.body = bytesOf(field);
        break;
    }
  }
  return payload;
}

/** The names that a birth certificate gives to aliases. */
export function aliasesOf(birth: SparkplugPayload): Map<number | bigint, string> {
  const names = new Map<number | bigint, string>();
  for (const { alias, name } of birth.metrics) {
    if (alias !== undefined && name !== undefined) names.set(alias, name);
  }
  return names;
}

/** For showing: metrics by name, so that a path to one stays true whichever others a message has. */
export function sparkplugValue(payload: SparkplugPayload, names?: Map<number | bigint, string>): ValueMap {
  const value: ValueMap = new Map();
  put(value, 'timestamp', time(payload.timestamp));
  put(value, 'seq', payload.seq);
  put(value, 'uuid', payload.uuid);
  value.set('metrics', metricsValue(payload.metrics, names));
  put(value, 'body', payload.body);
  return value;
}

function metricsValue(metrics: readonly Metric[], names?: Map<number | bigint, string>): ValueMap {
  const shown: ValueMap = new Map();
  const copies = new Map<string, number>();
  for (const metric of metrics) {
    const known = metric.alias === undefined ? undefined : names?.get(metric.alias);
    const name = metric.name ?? known ?? (metric.alias === undefined ? 'unnamed' : `alias ${metric.alias}`);
    const copy = (copies.get(name) ?? 0) + 1;
    copies.set(name, copy);
    shown.set(copy === 1 ? name : `${name} (${copy})`, metricValue(metric));
  }
  return shown;
}

function metricValue(metric: Metric): ValueMap {
  const shown: ValueMap = new Map();
  put(shown, 'type', metric.type);
  shown.set('value', metric.value);
  put(shown, 'timestamp', time(metric.timestamp));
  put(shown, 'alias', metric.alias);
  put(shown, 'historical', metric.isHistorical);
  put(shown, 'transient', metric.isTransient);
  put(shown, 'properties', metric.properties);
  return shown;
}

function put(map: ValueMap, key: string, value: Value): void {
  if (value !== undefined) map.set(key, value);
}

function time(millis: number | bigint | undefined): Value {
  const date = new Date(Number(millis));
  return Number.isNaN(date.getTime()) ? millis : date.toISOString();
}

function readMetric(field: Field, depth: number): Metric {
  if (depth > DEPTH_MAX) throw tooDeep();
  const metric: Metric = { value: undefined };
  const fields = readFields(bytesOf(field));
  const type = typeName(fields.find(({ number }) => number === 4));
  if (type !== undefined) metric.type = type;
  for (const part of fields) {
    switch (part.number) {
      case 1:
        metric.name = text(part);
        break;
      case 2:
        metric.alias = int(part);
        break;
      case 3:
        metric.timestamp = int(part);
        break;
      case 5:
        metric.isHistorical = int(part) !== 0;
        break;
      case 6:
        metric.isTransient = int(part) !== 0;
        break;
      case 7:
        if (int(part) !== 0) metric.value = null;
        break;
      case 9:
        metric.properties = readProperties(part, depth + 1);
        break;
      case 16:
        metric.value = arrayOf(type, bytesOf(part));
        break;
      case 17:
        metric.value = readDataSet(part);
        break;
      case 18:
        metric.value = readTemplate(part, depth + 1);
        break;
      default:
        // Where a metric keeps a scalar; properties and cells of data sets keep the same six at other numbers.
        if (part.number >= 10 && part.number <= 15) metric.value = scalar(part, part.number - 10, type);
    }
  }
  return metric;
}

/** Of a value's six kinds: int, long, float, double, boolean, string. */
function scalar(field: Field, kind: number, type: string | undefined): Value {
  switch (kind) {
    case 0:
    case 1:
      return type === 'DateTime' ? time(int(field)) : signed(field, type);
    case 2:
      return single(fixed(field, 'fixed32').f32(true));
    case 3:
      return fixed(field, 'fixed64').f64(true);
    case 4:
      return int(field) !== 0;
    case 5:
      return text(field);
    default:
      return null;
  }
}

/** A float of 32 bits with the digits that it has, and not those that a double adds. */
function single(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function readProperties(field: Field, depth: number): ValueMap {
  if (depth > DEPTH_MAX) throw tooDeep();
  const fields = readFields(bytesOf(field));
  const keys = fields.filter(({ number }) => number === 1).map(text);
  const values = fields.filter(({ number }) => number === 2).map((part) => readProperty(part, depth + 1));
  return new Map(keys.map((key, index) => [key, values[index]]));
}

function readProperty(field: Field, depth: number): Value {
  const fields = readFields(bytesOf(field));
  const type = typeName(fields.find(({ number }) => number === 1));
  let value: Value = null;
  for (const part of fields) {
    if (part.number >= 3 && part.number <= 8) value = scalar(part, part.number - 3, type);
    else if (part.number === 9) value = readProperties(part, depth + 1);
    else if (part.number === 10) {
      value = readFields(bytesOf(part)).map((set) => readProperties(set, depth + 1));
    }
  }
  return value;
}

/** Rows of cells by the name of their column. */
function readDataSet(field: Field): Value {
  const fields = readFields(bytesOf(field));
  const columns = fields.filter(({ number }) => number === 2).map(text);
  const types = fields.filter(({ number }) => number === 3).flatMap(typeNames);
  const rows = fields.filter(({ number }) => number === 4);
  return rows.map((row) => {
    const cells = readFields(bytesOf(row)).map((cell, index) => {
      const [part] = readFields(bytesOf(cell));
      return part === undefined ? null : scalar(part, part.number - 1, types[index]);
    });
    return new Map(columns.map((column, index) => [column, cells[index]]));
  });
}

function readTemplate(field: Field, depth: number): ValueMap {
  const value: ValueMap = new Map();
  const metrics: Metric[] = [];
  const parameters: ValueMap = new Map();
  for (const part of readFields(bytesOf(field))) {
    switch (part.number) {
      case 1:
        value.set('version', text(part));
        break;
      case 2:
        metrics.push(readMetric(part, depth + 1));
        break;
      case 3:
        readParameter(part, parameters);
        break;
      case 4:
        value.set('template', text(part));
        break;
      case 5:
        value.set('definition', int(part) !== 0);
        break;
    }
  }
  if (parameters.size > 0) value.set('parameters', parameters);
  value.set('metrics', metricsValue(metrics));
  return value;
}

function readParameter(field: Field, parameters: ValueMap): void {
  const fields = readFields(bytesOf(field));
  const name = fields.find(({ number }) => number === 1);
  const type = typeName(fields.find(({ number }) => number === 2));
  const part = fields.find(({ number }) => number >= 3 && number <= 8);
  const value = part === undefined ? null : scalar(part, part.number - 3, type);
  parameters.set(name === undefined ? 'unnamed' : text(name), value);
}

function arrayOf(type: string | undefined, bytes: Uint8Array): Value {
  const element = type?.endsWith('Array') === true ? type.slice(0, -'Array'.length) : undefined;
  switch (element) {
    case 'Boolean':
      return booleans(bytes);
    case 'String':
      return strings(bytes);
    case undefined:
      return bytes;
    default:
      return numbers(element, bytes);
  }
}

function numbers(element: string, bytes: Uint8Array): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, read] = elementReader(element, view);
  if (bytes.length % width !== 0) return bytes;
  return Array.from({ length: bytes.length / width }, (_, index) => read(index * width));
}

function elementReader(element: string, view: DataView): [width: number, read: (at: number) => Value] {
  switch (element) {
    case 'Int8':
      return [1, (at) => view.getInt8(at)];
    case 'UInt8':
      return [1, (at) => view.getUint8(at)];
    case 'Int16':
      return [2, (at) => view.getInt16(at, true)];
    case 'UInt16':
      return [2, (at) => view.getUint16(at, true)];
    case 'Int32':
      return [4, (at) => view.getInt32(at, true)];
    case 'UInt32':
      return [4, (at) => view.getUint32(at, true)];
    case 'Float':
      return [4, (at) => single(view.getFloat32(at, true))];
    case 'Double':
      return [8, (at) => view.getFloat64(at, true)];
    case 'Int64':
      return [8, (at) => integer(view.getBigInt64(at, true))];
    case 'DateTime':
      return [8, (at) => time(view.getBigUint64(at, true))];
    default:
      return [8, (at) => integer(view.getBigUint64(at, true))];
  }
}

/** A count of 32 bits, then a bit each, the highest of a byte first. */
function booleans(bytes: Uint8Array): Value {
  if (bytes.length < 4) return bytes;
  const count = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (count > (bytes.length - 4) * 8) return bytes;
  return Array.from(
    { length: count },
    (_, index) => ((bytes[4 + (index >> 3)] ?? 0) & (0x80 >> (index & 7))) !== 0,
  );
}

/** Each ends in a zero. */
function strings(bytes: Uint8Array): Value {
  if (bytes.length > 0 && bytes.at(-1) !== 0) return bytes;
  return new ByteReader(bytes).text(bytes.length).split('\0').slice(0, -1);
}

function signed(field: Field, type: string | undefined): number | bigint {
  const bits = SIGNED_BITS[type ?? ''];
  return bits === undefined ? int(field) : integer(BigInt.asIntN(bits, varint(field)));
}

function typeName(field: Field | undefined): string | undefined {
  if (field === undefined) return undefined;
  const code = Number(int(field));
  return TYPES[code] ?? `type ${code}`;
}

/** One type, or many packed into one field. */
function typeNames(field: Field): (string | undefined)[] {
  return field.wire === 'bytes' ? Array.from(field.bytes, (code) => TYPES[code]) : [typeName(field)];
}

function int(field: Field): number | bigint {
  return integer(varint(field));
}

function varint(field: Field): bigint {
  if (field.wire !== 'varint') throw notSparkplug(field);
  return field.value;
}

function fixed(field: Field, wire: 'fixed32' | 'fixed64'): ByteReader {
  if (field.wire !== wire) throw notSparkplug(field);
  return new ByteReader(field.bytes);
}

function bytesOf(field: Field): Uint8Array {
  if (field.wire !== 'bytes') throw notSparkplug(field);
  return field.bytes;
}

function text(field: Field): string {
  const bytes = bytesOf(field);
  return new ByteReader(bytes).text(bytes.length);
}

function notSparkplug({ number }: Field): DecodeError {
  return new DecodeError(`field ${number} is not what Sparkplug B has there`);
}
