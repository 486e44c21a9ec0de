/**
 * Edge nodes of Sparkplug B and their devices. What they are is in their birth certificates, which brokers do not keep:
 * of those that were born before the page came there are only values by name, until somebody asks for a rebirth.
 */
import type { Metric, SparkplugPayload } from '../../../message/sparkplug.ts';
import { decodeSparkplug } from '../../../message/sparkplug.ts';
import type { Incoming } from '../../../mqtt/protocol.ts';
import { PAYLOAD_BYTES_MAX } from '../../../mqtt/protocol.ts';
import { DEVICES_MAX } from '../../device-store.ts';
import type { About, Control, Device, Field, FieldValue } from '../../model.ts';
import { Samples } from '../../samples.ts';
import type { Heard, Source, SourceTools } from '../source.ts';
import type { MetricSpec } from './metrics.ts';
import { aboutOf, controlOf, fieldValueOf, REBIRTH, rebirthControl, specOf } from './metrics.ts';
import { MEMBER_FILTERS, NAMESPACE } from './topics.ts';
import { unpacked } from './unpacked.ts';

/** Shown of one device. */
export const FIELDS_MAX = 64;
/** Of one device, have their latest numbers remembered. */
const SAMPLED_MAX = 4;
const CONTROLS_MAX = 64;
const ID_PREFIX = 'spb/';
const TOPIC =
  /^spBv1\.0\/([^/]+)\/(?:(N)(BIRTH|DEATH|DATA)\/([^/]+)|(D)(BIRTH|DEATH|DATA)\/([^/]+)\/([^/]+))$/;

/** What is known of a node or a device besides its record. */
interface Known {
  id: string;
  node: Node;
  /** Of the last birth. */
  specs: Map<string, MetricSpec>;
  names: Map<number | bigint, string>;
  indexes: Map<string, number>;
  isBorn: boolean;
}

interface Node {
  group: string;
  name: string;
  /** Of the last message. */
  seq: number | undefined;
  seqAt: number | undefined;
  /** Of the last birth. */
  bdSeq: number | undefined;
  /** How often messages were missing. */
  gaps: number;
  rebirthAlias: number | bigint | undefined;
  /** The node's own and those of its devices. */
  members: Set<Known>;
}

interface Place {
  kind: 'BIRTH' | 'DEATH' | 'DATA';
  group: string;
  node: string;
  /** Absent when it is about the node itself. */
  device: string | undefined;
}

export class SparkplugSource implements Source {
  readonly kind = 'sparkplug';
  readonly filters = MEMBER_FILTERS;
  readonly #tools: SourceTools;
  readonly #nodes = new Map<string, Node>();
  readonly #known = new Map<string, Known>();

  constructor(tools: SourceTools) {
    this.#tools = tools;
  }

  handle(message: Incoming): Heard | undefined {
    const place = placeOf(message.topic);
    if (place === undefined) return undefined;
    const payload = payloadOf(message);
    if ('problem' in payload) return this.#handleInvalid(place, payload.problem);
    const node = this.#nodeAt(place);
    const known = node === undefined ? undefined : this.#knownAt(place, node);
    if (node === undefined || known === undefined) {
      return {
        ids: [],
        text: textOf(payload),
        problem: `${DEVICES_MAX} are known already, more are not kept`,
      };
    }
    const problem = this.#handleMessage(place, known, payload, message);
    const ids =
      place.kind === 'DEATH' && place.device === undefined
        ? [...node.members].map(({ id }) => id)
        : [known.id];
    return { ids, text: textOf(payload, known.names), ...(problem === undefined ? {} : { problem }) };
  }

  numbersIn({ id }: Device, message: Incoming): readonly (readonly [string, number])[] {
    const known = this.#known.get(id);
    const payload = payloadOf(message);
    const place = placeOf(message.topic);
    if (known === undefined || 'problem' in payload || place === undefined || idOf(place) !== id) return [];
    return payload.metrics.flatMap((metric) => {
      const name = nameOf(metric, known.names);
      const value = fieldValueOf(metric.value, metric.type ?? known.specs.get(name ?? '')?.type);
      return name !== undefined && typeof value === 'number' ? [[name, value] as const] : [];
    });
  }

  #handleMessage(
    place: Place,
    known: Known,
    payload: SparkplugPayload,
    message: Incoming,
  ): string | undefined {
    switch (place.kind) {
      case 'BIRTH':
        this.#handleBirth(place, known, payload, message);
        return undefined;
      case 'DATA':
        this.#handleData(known, payload, message);
        return undefined;
      case 'DEATH':
        return this.#handleDeath(place, known, payload, message);
    }
  }

  #handleBirth(place: Place, known: Known, payload: SparkplugPayload, message: Incoming): void {
    const { node } = known;
    if (place.device === undefined) {
      // Numbers begin anew with the node.
      node.seq = undefined;
      node.bdSeq = numberOf(payload.metrics.find(({ name }) => name === 'bdSeq')?.value);
      node.rebirthAlias = payload.metrics.find(({ name }) => name === REBIRTH)?.alias;
    }
    this.#count(node, payload);
    const specs = payload.metrics.filter(({ name }) => name !== 'bdSeq').map(specOf);
    const sorted = specs.filter((spec) => spec !== undefined).sort((a, b) => a.rank - b.rank);
    const shown = new Map(sorted.map((spec) => [spec.name, spec] as const));
    known.specs = new Map([...shown].slice(0, FIELDS_MAX));
    known.indexes = new Map([...known.specs.keys()].map((name, index) => [name, index]));
    known.names = new Map();
    for (const { alias, name } of payload.metrics) {
      if (alias !== undefined && name !== undefined) known.names.set(alias, name);
    }
    known.isBorn = true;
    const before = this.#tools.store.device(known.id) ?? blank(place, known);
    const fields = [...known.specs.values()].map(({ name, unit }): Field => {
      const field = before.fields.find(({ key }) => key === name);
      return { value: undefined, at: 0, samples: undefined, ...field, key: name, label: name, unit };
    });
    const commands = `${NAMESPACE}/${place.group}/${place.device === undefined ? 'N' : 'D'}CMD/${memberOf(place)}`;
    const controls = payload.metrics
      .filter(({ name }) => name !== REBIRTH)
      .map((metric) => controlOf(metric, commands))
      .filter((control): control is Control => control !== undefined);
    this.#put(known, payload, message, {
      ...before,
      about: aboutIn(payload.metrics),
      fields,
      fieldsBeyond: shown.size - known.specs.size,
      controls: [...controls.slice(0, CONTROLS_MAX), rebirthControl(nodeCommands(node), node.rebirthAlias)],
    });
  }

  #handleData(known: Known, payload: SparkplugPayload, message: Incoming): void {
    this.#count(known.node, payload);
    const place = placeOf(message.topic);
    const device = this.#tools.store.device(known.id);
    if (device !== undefined) this.#put(known, payload, message, device);
    else if (place !== undefined) this.#put(known, payload, message, blank(place, known));
  }

  /** The Will of an earlier connection says nothing about this one. */
  #handleDeath(place: Place, known: Known, payload: SparkplugPayload, { at }: Incoming): string | undefined {
    const { node } = known;
    if (place.device === undefined) {
      const bdSeq = numberOf(payload.metrics.find(({ name }) => name === 'bdSeq')?.value);
      if (bdSeq !== undefined && node.bdSeq !== undefined && bdSeq !== node.bdSeq) {
        return `the death of an earlier connection: its bdSeq is ${bdSeq}, that of the last birth ${node.bdSeq}`;
      }
      node.seq = undefined;
    }
    for (const member of place.device === undefined ? node.members : [known]) {
      const device =
        this.#tools.store.device(member.id) ?? (member === known ? blank(place, known) : undefined);
      if (device !== undefined)
        this.#tools.store.put({ ...device, presence: { online: false, heardAt: at } });
    }
    return undefined;
  }

  #handleInvalid(place: Place, problem: string): Heard {
    const id = idOf(place);
    const device = this.#tools.store.device(id);
    if (device !== undefined) this.#tools.store.put({ ...device, invalid: device.invalid + 1 });
    return { ids: [id], text: '', problem };
  }

  /** The record with what the message says; whoever says anything is there. */
  #put(known: Known, payload: SparkplugPayload, { at }: Incoming, device: Device): void {
    const madeAt = numberOf(payload.timestamp);
    this.#tools.store.put({
      ...device,
      fields: withValues(known, device.fields, payload.metrics, at),
      presence: { online: true, heardAt: at },
      stateAt: at,
      madeAt,
      problems: problemsOf(known),
    });
  }

  /** Numbers go from 0 to 255 and round again, over a node and its devices. */
  #count(node: Node, { seq, timestamp }: SparkplugPayload): void {
    const number = numberOf(seq);
    if (number === undefined) return;
    // A copy for another subscription.
    const isAgain = number === node.seq && numberOf(timestamp) === node.seqAt;
    if (node.seq !== undefined && number !== (node.seq + 1) % 256 && !isAgain) {
      node.gaps += 1;
      this.#tellGaps(node);
    }
    node.seq = number;
    node.seqAt = numberOf(timestamp);
  }

  /** On the node's own record. */
  #tellGaps({ group, name }: Node): void {
    const known = this.#known.get(idOf({ group, node: name, device: undefined }));
    const device = known === undefined ? undefined : this.#tools.store.device(known.id);
    if (known !== undefined && device !== undefined) {
      this.#tools.store.put({ ...device, problems: problemsOf(known) });
    }
  }

  #nodeAt({ group, node: name }: Place): Node | undefined {
    const key = `${group}/${name}`;
    const node = this.#nodes.get(key);
    if (node !== undefined || this.#nodes.size >= DEVICES_MAX) return node;
    const made: Node = {
      group,
      name,
      seq: undefined,
      seqAt: undefined,
      bdSeq: undefined,
      gaps: 0,
      rebirthAlias: undefined,
      members: new Set(),
    };
    this.#nodes.set(key, made);
    return made;
  }

  #knownAt(place: Place, node: Node): Known | undefined {
    const id = idOf(place);
    const known = this.#known.get(id);
    if (known !== undefined || this.#known.size >= DEVICES_MAX) return known;
    const made: Known = {
      id,
      node,
      specs: new Map(),
      names: new Map(),
      indexes: new Map(),
      isBorn: false,
    };
    this.#known.set(id, made);
    node.members.add(made);
    return made;
  }
}

function placeOf(topic: string): Place | undefined {
  const [, group, , ofNode, node, , ofDevice, deviceNode, device] = TOPIC.exec(topic) ?? [];
  const kind = ofNode ?? ofDevice;
  const name = node ?? deviceNode;
  if (group === undefined || name === undefined) return undefined;
  return kind === 'BIRTH' || kind === 'DEATH' || kind === 'DATA'
    ? { kind, group, node: name, device }
    : undefined;
}

function memberOf({ node, device }: Omit<Place, 'kind'>): string {
  return device === undefined ? node : `${node}/${device}`;
}

function idOf(place: Omit<Place, 'kind'>): string {
  return `${ID_PREFIX}${place.group}/${memberOf(place)}`;
}

function isNode({ id, node }: Known): boolean {
  return id === idOf({ group: node.group, node: node.name, device: undefined });
}

function nodeCommands({ group, name }: Node): string {
  return `${NAMESPACE}/${group}/NCMD/${name}`;
}

function payloadOf({ payload, bytes }: Incoming): SparkplugPayload | { problem: string } {
  if (payload === undefined) return { problem: 'the payload did not come as bytes' };
  if (bytes > PAYLOAD_BYTES_MAX) {
    return { problem: `${bytes} bytes are too many for a message (at most ${PAYLOAD_BYTES_MAX})` };
  }
  try {
    return unpacked(decodeSparkplug(payload));
  } catch (error) {
    return { problem: `not Sparkplug B: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function nameOf({ name, alias }: Metric, names: ReadonlyMap<number | bigint, string>): string | undefined {
  return name ?? (alias === undefined ? undefined : names.get(alias));
}

function blank(place: Place, known: Known): Device {
  const { group, node, device } = place;
  const member = memberOf(place);
  const kind = device === undefined ? 'N' : 'D';
  const topic = (what: string): string => `${NAMESPACE}/${group}/${kind}${what}/${member}`;
  return {
    id: known.id,
    source: 'sparkplug',
    name: device === undefined ? node : `${node} / ${device}`,
    about: {},
    tags: device === undefined ? [group] : [group, node],
    fields: [],
    fieldsBeyond: 0,
    controls: [rebirthControl(nodeCommands(known.node), known.node.rebirthAlias)],
    commandTopic: undefined,
    status: undefined,
    presence: undefined,
    stateAt: 0,
    madeAt: undefined,
    silenceMs: undefined,
    isSteady: false,
    topics: [
      { filter: topic('DATA'), role: 'state' },
      { filter: topic('BIRTH'), role: 'config' },
      { filter: topic('DEATH'), role: 'availability' },
      { filter: topic('CMD'), role: 'command' },
    ],
    problems: [],
    invalid: 0,
  };
}

function aboutIn(metrics: readonly Metric[]): About {
  const about: About = {};
  for (const { name, value } of metrics) {
    const what = aboutOf(name ?? '');
    if (what !== undefined && typeof value === 'string' && value !== '') about[what] = value.slice(0, 200);
  }
  return about;
}

/** What has a name but was in no birth is added, as long as there is room. */
function withValues(
  known: Known,
  before: readonly Field[],
  metrics: readonly Metric[],
  at: number,
): readonly Field[] {
  const fields = [...before];
  for (const metric of metrics) {
    const name = nameOf(metric, known.names);
    if (name === undefined || metric.isHistorical === true) continue;
    const value = fieldValueOf(metric.value, metric.type ?? known.specs.get(name)?.type);
    if (value === undefined) continue;
    const index =
      known.indexes.get(name) ?? (known.isBorn ? undefined : addField(known, fields, metric, name));
    const field = index === undefined ? undefined : fields[index];
    if (index !== undefined && field !== undefined) fields[index] = withValue(field, value, at, index);
  }
  return fields;
}

function addField(known: Known, fields: Field[], metric: Metric, name: string): number | undefined {
  const spec = specOf({ ...metric, name });
  if (spec === undefined || fields.length >= FIELDS_MAX) return undefined;
  fields.push({ key: name, label: name, unit: spec.unit, value: undefined, at: 0, samples: undefined });
  known.specs.set(name, spec);
  known.indexes.set(name, fields.length - 1);
  return fields.length - 1;
}

function withValue(field: Field, value: FieldValue, at: number, index: number): Field {
  if (typeof value !== 'number' || index >= SAMPLED_MAX) return { ...field, value, at };
  return { ...field, value, at, samples: (field.samples ?? Samples.NONE).with(at, value) };
}

function problemsOf(known: Known): string[] {
  const { gaps } = known.node;
  const problems: string[] = [];
  if (!known.isBorn) {
    problems.push('Its birth certificate was not heard, which names its values: Rebirth asks for it');
  }
  if (isNode(known) && gaps > 0) {
    problems.push(`Messages of this node or its devices were missing ${gaps} times: numbers were left out`);
  }
  return problems;
}

/** In a line, for the log. */
function textOf({ metrics, seq }: SparkplugPayload, names?: ReadonlyMap<number | bigint, string>): string {
  const shown = metrics.slice(0, TEXT_METRICS_MAX).map((metric) => {
    const name =
      nameOf(metric, names ?? new Map()) ??
      (metric.alias === undefined ? 'unnamed' : `alias ${metric.alias}`);
    return `${name} = ${String(fieldValueOf(metric.value, metric.type))}`;
  });
  const more = metrics.length - shown.length;
  return [
    ...(seq === undefined ? [] : [`seq ${seq}`]),
    ...shown,
    ...(more > 0 ? [`and ${more} more`] : []),
  ].join(', ');
}

const TEXT_METRICS_MAX = 8;

function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined;
  return number !== undefined && Number.isSafeInteger(number) ? number : undefined;
}
