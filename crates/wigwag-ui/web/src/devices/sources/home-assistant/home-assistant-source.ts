/**
 * Devices that introduce themselves to Home Assistant. Listens to their configurations, then to the topics that those
 * name. A device is there as long as one of its configurations is retained.
 */
import type { Incoming } from '../../../mqtt/protocol.ts';
import type { Device, Field, FieldValue, Presence } from '../../model.ts';
import { Samples } from '../../samples.ts';
import type { Heard, Source, SourceTools } from '../source.ts';
import type { Announcement } from './announcement.ts';
import { announcementOf } from './announcement.ts';
import type { ConfigTopic } from './config-topics.ts';
import { configFilters, parseConfigTopic } from './config-topics.ts';
import type { AvailabilitySpec, Entity, FieldSpec } from './entity.ts';
import { Payload } from './template.ts';
import { Topics } from './topics.ts';
import { isAvailable, valueIn } from './values.ts';

/** Shown of one device. */
export const FIELDS_MAX = 64;
/** Of one device, have their latest numbers remembered. */
const SAMPLED_MAX = 4;
/** Configurations of all devices together. */
export const CONFIGS_MAX = 20_000;
/** Of one device: each of them makes it anew of all of them. */
export const ANNOUNCEMENTS_MAX = 256;
/** Told of one device; what is not among them is shown all the same. */
const DEVICE_TOPICS_MAX = 512;
const PROBLEMS_MAX = 10;

/** What is known of one device: its configurations by topic, and what was heard since. */
interface Known {
  id: string;
  announcements: Map<string, Announcement>;
  identifiers: Set<string>;
  /** In the order in which they are shown. */
  specs: FieldSpec[];
  /** By what the availability is told by. */
  available: Map<string, { isThere: boolean; at: number }>;
}

export class HomeAssistantSource implements Source {
  readonly kind = 'home-assistant';
  readonly filters: readonly string[];
  readonly #tools: SourceTools;
  readonly #prefix: string;
  readonly #topics: Topics<Known>;
  /** By the topic of a configuration. */
  readonly #configs = new Map<string, Known>();
  readonly #byIdentifier = new Map<string, Known>();
  readonly #byId = new Map<string, Known>();

  constructor(tools: SourceTools, prefix: string) {
    this.filters = configFilters(prefix);
    this.#tools = tools;
    this.#prefix = prefix;
    this.#topics = new Topics(tools.subscribe);
  }

  handle(message: Incoming): Heard | undefined {
    const topic = parseConfigTopic(message.topic, this.#prefix);
    const ids = new Set<string>();
    const payload = new Payload(message.text);
    for (const known of this.#topics.deliver(message)) {
      if (this.#handleValue(known, message, payload)) ids.add(known.id);
    }
    if (topic !== undefined) return this.#handleConfig(message, topic);
    return this.#topics.has(message.topic) ? { ids: [...ids] } : undefined;
  }

  numbersIn(device: Device, { topic, text }: Incoming): readonly (readonly [string, number])[] {
    const known = this.#byId.get(device.id);
    if (known === undefined) return [];
    const payload = new Payload(text);
    return known.specs.flatMap((spec) => {
      const value = spec.topic === topic ? valueIn(spec, payload) : undefined;
      return typeof value === 'number' ? [[spec.key, value] as const] : [];
    });
  }

  end(): void {
    for (const known of [...this.#byId.values()]) this.#remove(known);
    this.#configs.clear();
  }

  #handleConfig(message: Incoming, parsed: ConfigTopic): Heard {
    const { topic } = message;
    const before = this.#configs.get(topic);
    if (message.bytes === 0) {
      if (before !== undefined) this.#forget(before, topic);
      return { ids: before === undefined ? [] : [before.id] };
    }
    const announcement = announcementOf(parsed, message.text, message.bytes);
    if ('problem' in announcement) return { ids: before === undefined ? [] : [before.id], ...announcement };
    const known = this.#knownBy(announcement);
    if (before !== known && known.announcements.size >= ANNOUNCEMENTS_MAX) {
      const problem = `its device has ${ANNOUNCEMENTS_MAX} configurations already, more are not kept`;
      return { ids: [known.id], problem };
    }
    if (before !== undefined && before !== known) this.#forget(before, topic);
    if (!this.#configs.has(topic) && this.#configs.size >= CONFIGS_MAX) {
      return { ids: [], problem: `${CONFIGS_MAX} configurations are known already, more are not kept` };
    }
    this.#configs.set(topic, known);
    known.announcements.set(topic, announcement);
    for (const identifier of announcement.identifiers) {
      if (this.#byIdentifier.has(identifier)) continue;
      this.#byIdentifier.set(identifier, known);
      known.identifiers.add(identifier);
    }
    this.#byId.set(known.id, known);
    this.#arrange(known);
    return { ids: [known.id] };
  }

  #knownBy({ identifiers }: Announcement): Known {
    for (const identifier of identifiers) {
      const known = this.#byIdentifier.get(identifier);
      if (known !== undefined) return known;
    }
    return {
      id: ID_PREFIX + (identifiers[0] ?? ''),
      announcements: new Map(),
      identifiers: new Set(),
      specs: [],
      available: new Map(),
    };
  }

  #forget(known: Known, topic: string): void {
    this.#configs.delete(topic);
    known.announcements.delete(topic);
    this.#arrange(known);
  }

  /** Makes the device anew of its configurations, with the values that are known. */
  #arrange(known: Known): void {
    const { store } = this.#tools;
    const announcements = [...known.announcements.values()];
    if (announcements.length === 0) {
      this.#remove(known);
      return;
    }
    const entities = announcements.flatMap((one) => one.entities);
    const all = entities.flatMap(({ fields }) => fields).sort((a, b) => a.rank - b.rank);
    known.specs = unique(all).slice(0, FIELDS_MAX);
    const availability = entities.flatMap((one) => one.availability);
    const wanted = new Set([...known.specs, ...availability].map(({ topic }) => topic));
    const deaf = this.#topics.listen(known, wanted);
    const beyond = announcements.reduce((sum, one) => sum + one.beyond, all.length - known.specs.length);
    store.put(deviceOf(known, { beyond, deaf, before: store.device(known.id) }));
    // There is no room for it in the store: then what it says is not listened to.
    if (store.device(known.id) === undefined) this.#topics.listen(known, []);
    for (const topic of wanted) {
      const last = this.#topics.last(topic);
      if (last !== undefined) this.#handleValue(known, last, new Payload(last.text));
    }
  }

  #remove(known: Known): void {
    for (const identifier of known.identifiers) this.#byIdentifier.delete(identifier);
    this.#byId.delete(known.id);
    this.#topics.listen(known, []);
    this.#tools.store.remove(known.id);
  }

  /** Whether the device is told anything by the message. */
  #handleValue(known: Known, message: Incoming, payload: Payload): boolean {
    const device = this.#tools.store.device(known.id);
    if (device === undefined) return false;
    const fields = withValues(known.specs, device.fields, message, payload);
    const heard = hear(known, message, payload);
    if (fields === device.fields && !heard) return false;
    const stateAt = fields === device.fields ? device.stateAt : Math.max(device.stateAt, message.at);
    const presence = heard ? presenceOf(known) : device.presence;
    this.#tools.store.put({ ...device, fields, stateAt, presence });
    return true;
  }
}

const ID_PREFIX = 'ha/';

interface Arrangement {
  beyond: number;
  /** Topics that there is no room to listen to. */
  deaf: number;
  before: Device | undefined;
}

function deviceOf(known: Known, { beyond, deaf, before }: Arrangement): Device {
  const announcements = [...known.announcements.values()];
  const entities = announcements.flatMap((one) => one.entities);
  const about = Object.assign({}, ...announcements.map((one) => one.about)) as Announcement['about'];
  const name = announcements.map((one) => one.name).find((one) => one !== undefined) ?? entities[0]?.name;
  const expireMs = Math.max(0, ...entities.map((one) => one.expireMs ?? 0));
  const problems = [
    ...(deaf > 0 ? [`${deaf} of its topics are not listened to: this page listens to no more`] : []),
    ...entities.flatMap((one) => one.problems),
  ];
  return {
    id: known.id,
    source: 'home-assistant',
    name: name ?? known.id.slice(ID_PREFIX.length),
    about,
    tags: [...new Set([about.area, about.model].filter((tag) => tag !== undefined))],
    fields: fieldsOf(known.specs, before?.fields ?? []),
    fieldsBeyond: beyond,
    controls: unique(entities.flatMap(({ controls }) => controls)).slice(0, FIELDS_MAX),
    commandTopic: undefined,
    status: undefined,
    presence: presenceOf(known),
    stateAt: before?.stateAt ?? 0,
    madeAt: undefined,
    silenceMs: expireMs > 0 ? expireMs : undefined,
    isSteady: expireMs > 0,
    topics: topicsOf(known, entities),
    problems: [...new Set(problems)].slice(0, PROBLEMS_MAX),
    invalid: before?.invalid ?? 0,
  };
}

function fieldsOf(specs: readonly FieldSpec[], before: readonly Field[]): Field[] {
  const known = new Map(before.map((field) => [field.key, field]));
  return specs.map(({ key, label, unit, reading, words }) => ({
    value: undefined,
    at: 0,
    samples: undefined,
    ...known.get(key),
    key,
    label,
    unit,
    words,
    ...(reading.doubt === undefined ? {} : { doubt: reading.doubt }),
  }));
}

/** The same list when the message says nothing of them. */
function withValues(
  specs: readonly FieldSpec[],
  before: readonly Field[],
  message: Incoming,
  payload: Payload,
): readonly Field[] {
  let fields: Field[] | undefined;
  let sampled = 0;
  for (const [index, field] of before.entries()) {
    const spec = specs[index];
    const value = spec?.topic === message.topic ? valueIn(spec, payload) : undefined;
    const isSampled = typeof (value ?? field.value) === 'number' && sampled++ < SAMPLED_MAX;
    // What is retained is older than its arrival: of a value that is known already it says nothing new.
    if (value === undefined || (message.retain && value === field.value)) continue;
    fields ??= [...before];
    fields[index] = withValue(field, value, message.at, isSampled);
  }
  return fields ?? before;
}

function withValue(field: Field, value: FieldValue, at: number, isSampled: boolean): Field {
  if (typeof value !== 'number' || !isSampled) return { ...field, value, at };
  return { ...field, value, at, samples: (field.samples ?? Samples.NONE).with(at, value) };
}

function hear(known: Known, { topic, at }: Incoming, payload: Payload): boolean {
  let isHeard = false;
  for (const { entities } of known.announcements.values()) {
    for (const { availability } of entities) {
      for (const spec of availability) {
        if (spec.topic !== topic) continue;
        const isThere = isAvailable(spec, payload);
        if (isThere === undefined) continue;
        known.available.set(keyOf(spec), { isThere, at });
        isHeard = true;
      }
    }
  }
  return isHeard;
}

/** The device is there when any of its entities is. */
function presenceOf(known: Known): Presence | undefined {
  let presence: Presence | undefined;
  for (const { entities } of known.announcements.values()) {
    for (const entity of entities) {
      const one = presenceOfEntity(known, entity);
      if (one === undefined) continue;
      const online = one.online || presence?.online === true;
      presence = { online, heardAt: Math.max(one.heardAt, presence?.heardAt ?? 0) };
    }
  }
  return presence;
}

function presenceOfEntity(known: Known, { availability, availabilityMode }: Entity): Presence | undefined {
  const all = availability.map((spec) => known.available.get(keyOf(spec)));
  const heard = all.filter((one) => one !== undefined).sort((a, b) => a.at - b.at);
  const latest = heard.at(-1);
  if (latest === undefined) return undefined;
  const heardAt = latest.at;
  switch (availabilityMode) {
    case 'latest':
      return { online: latest.isThere, heardAt };
    case 'any':
      return { online: heard.some(({ isThere }) => isThere), heardAt };
    case 'all':
      if (heard.some(({ isThere }) => !isThere)) return { online: false, heardAt };
      return heard.length < all.length ? undefined : { online: true, heardAt };
  }
}

function keyOf({ topic, reading, yes, no }: AvailabilitySpec): string {
  return [topic, reading.template?.source, yes, no].join('\n\n');
}

function topicsOf(known: Known, entities: readonly Entity[]): Device['topics'] {
  const each = (role: Device['topics'][number]['role'], topics: readonly string[]) =>
    [...new Set(topics)].map((filter) => ({ filter, role }));
  const all = [
    ...each('state', known.specs.map(({ topic }) => topic)), // prettier-ignore
    ...each('availability', entities.flatMap(({ availability }) => availability.map(({ topic }) => topic))), // prettier-ignore
    ...each('config', [...known.announcements.keys()]),
    ...each('command', entities.flatMap(({ controls }) => controls.map(({ topic }) => topic))), // prettier-ignore
  ];
  return all.slice(0, DEVICE_TOPICS_MAX);
}

function unique<One extends { key: string }>(all: readonly One[]): One[] {
  return [...new Map(all.map((one) => [one.key, one])).values()];
}
