/**
 * Devices that speak as `contract.ts` says: a state and a presence, each retained. A device is there as long as it has a
 * state or is online.
 */
import type { Incoming } from '../../mqtt/protocol.ts';
import type { DeviceState, Parsed } from '../contract.ts';
import {
  commandTopic,
  parsePresence,
  parseState,
  parseTags,
  parseTopic,
  PRESENCE_FILTER,
  presenceTopic,
  STALE_AFTER_MS,
  STATE_FILTER,
  stateTopic,
  statusAfter,
  TAGS_FILTER,
  topicPrefix,
} from '../contract.ts';
import { DEVICES_MAX } from '../device-store.ts';
import type { Control, Device, Encoding, Field, FieldValue, Presence, Status } from '../model.ts';
import { Samples } from '../samples.ts';
import { fieldsOf } from './json-fields.ts';
import type { Heard, Source, SourceTools } from './source.ts';
import { tagsOf } from './tags.ts';

/** So many numbers of a device are remembered besides being shown. */
const SAMPLED_MAX = 4;

export class ContractSource implements Source {
  readonly kind = 'contract';
  readonly filters = [STATE_FILTER, PRESENCE_FILTER, TAGS_FILTER];
  readonly #tools: SourceTools;
  /** Of those that only told us that they are not there. */
  readonly #absent = new Map<string, Presence>();
  /** Tags that are retained beside the state, in whose place they are. */
  readonly #retainedTags = new Map<string, readonly string[]>();

  readonly #handlers = {
    state: (id: string, message: Incoming) => this.#handleState(id, message),
    online: (id: string, message: Incoming) => this.#handlePresence(id, message),
    tags: (id: string, message: Incoming) => this.#handleTags(id, message),
  };

  constructor(tools: SourceTools) {
    this.#tools = tools;
  }

  handle(message: Incoming): Heard | undefined {
    const topic = parseTopic(message.topic);
    if (topic === undefined) return undefined;
    const { kind, id } = topic;
    const problem = this.#handlers[kind](id, message);
    if (problem === undefined) return { ids: [id] };
    const device = this.#tools.store.device(id);
    // A stranger's nonsense makes no device.
    if (device !== undefined) this.#tools.store.put({ ...device, invalid: device.invalid + 1 });
    return { ids: [id], problem };
  }

  numbersIn(device: Device, { topic, text, bytes }: Incoming): readonly (readonly [string, number])[] {
    if (parseTopic(topic)?.kind !== 'state') return [];
    const state = parseState(device.id, text, bytes);
    if ('problem' in state) return [];
    return valuesOf(state.value).values.filter(
      (field): field is readonly [string, number] => typeof field[1] === 'number',
    );
  }

  #handleState(id: string, message: Incoming): string | undefined {
    const { store } = this.#tools;
    const before = store.device(id);
    if (message.bytes === 0) {
      if (before !== undefined) {
        this.#putOrRemove({ ...withoutState(before), tags: this.#retainedTags.get(id) ?? [] });
      }
      return undefined;
    }
    const state: Parsed<DeviceState> = parseState(id, message.text, message.bytes);
    if ('problem' in state) return state.problem;
    const tags = this.#retainedTags.get(id) ?? tagsOf(state.value.object.tags, before?.tags ?? []);
    store.put(withState(before ?? this.#blank(id), tags, state.value, message));
    this.#absent.delete(id);
    return undefined;
  }

  #handlePresence(id: string, message: Incoming): string | undefined {
    const device = this.#tools.store.device(id);
    if (message.bytes === 0) {
      this.#absent.delete(id);
      if (device !== undefined) this.#putOrRemove({ ...device, presence: undefined });
      return undefined;
    }
    const online = parsePresence(message.text);
    if ('problem' in online) return online.problem;
    const presence: Presence = { online: online.value, heardAt: message.at };
    if (device === undefined && !presence.online) this.#remember(id, presence);
    else this.#putOrRemove({ ...(device ?? this.#blank(id)), presence });
    return undefined;
  }

  /** They are kept for a device that is still to come, and make none. Without them, those of its next state hold. */
  #handleTags(id: string, message: Incoming): string | undefined {
    const { store } = this.#tools;
    const device = store.device(id);
    if (message.bytes === 0) {
      if (this.#retainedTags.delete(id) && device !== undefined) store.put({ ...device, tags: [] });
      return undefined;
    }
    const list = parseTags(message.text, message.bytes);
    if ('problem' in list) return list.problem;
    const tags = tagsOf(list.value, device?.tags ?? []);
    if (this.#retainedTags.size < DEVICES_MAX || this.#retainedTags.has(id)) this.#retainedTags.set(id, tags);
    if (device !== undefined && device.tags !== tags) store.put({ ...device, tags });
    return undefined;
  }

  /** A device that took its state back and is not there is gone, though the broker may remember that it is offline. */
  #putOrRemove(device: Device): void {
    const { id, presence } = device;
    if (device.stateAt > 0 || presence?.online === true) {
      this.#tools.store.put(device);
      this.#absent.delete(id);
    } else {
      this.#tools.store.remove(id);
      if (presence !== undefined) this.#remember(id, presence);
    }
  }

  #remember(id: string, presence: Presence): void {
    if (this.#absent.size < DEVICES_MAX || this.#absent.has(id)) this.#absent.set(id, presence);
  }

  #blank(id: string): Device {
    return {
      id,
      source: 'contract',
      name: id,
      about: {},
      tags: this.#retainedTags.get(id) ?? [],
      fields: [],
      fieldsBeyond: 0,
      controls: controlsOf(id),
      commandTopic: commandTopic(id),
      status: undefined,
      presence: this.#absent.get(id),
      stateAt: 0,
      madeAt: undefined,
      silenceMs: STALE_AFTER_MS,
      isSteady: false,
      topics: [
        { filter: stateTopic(id), role: 'state' },
        { filter: `${topicPrefix(id)}#`, role: 'all' },
        { filter: presenceTopic(id), role: 'availability' },
        { filter: commandTopic(id), role: 'command' },
      ],
      problems: [],
      invalid: 0,
    };
  }
}

const ENCODING: Encoding = {
  as: 'text',
  before: '{"action":"',
  after: '"}',
  words: [
    [statusAfter('start'), 'start'],
    [statusAfter('stop'), 'stop'],
  ],
};
const STARTING = { ongoing: 'Starting…', done: 'Started', icon: 'play' } as const;
const STOPPING = { ongoing: 'Stopping…', done: 'Stopped', icon: 'stop' } as const;

function controlsOf(id: string): readonly Control[] {
  const base = {
    kind: 'button',
    topic: commandTopic(id),
    qos: 1,
    retain: false,
    encoding: ENCODING,
    field: 'status',
    replies: true,
  } as const;
  return [
    { ...base, key: 'start', label: 'Start', value: statusAfter('start'), words: STARTING },
    { ...base, key: 'stop', label: 'Stop', value: statusAfter('stop'), words: STOPPING },
  ];
}

function withState(
  device: Device,
  tags: readonly string[],
  state: DeviceState,
  { at, retain }: Incoming,
): Device {
  const madeAt = state.timestamp * 1_000;
  const stateAt = retain ? retainedAt(device, state.status, madeAt, at) : at;
  const { values, beyond } = valuesOf(state);
  return {
    ...device,
    tags,
    status: state.status,
    isSteady: state.status === 'running',
    stateAt,
    madeAt,
    fields: fieldsFrom(values, device.fields, stateAt),
    fieldsBeyond: beyond,
  };
}

function withoutState(device: Device): Device {
  return {
    ...device,
    status: undefined,
    isSteady: false,
    stateAt: 0,
    madeAt: undefined,
    fields: [],
    fieldsBeyond: 0,
  };
}

/** Members of a state that are shown as something else than a reading. */
const ELSEWHERE = new Set(['deviceId', 'temperature', 'timestamp', 'tags']);

/** What the contract asks for first; not the clock and the name, which are no readings. */
function valuesOf({ temperature, object }: DeviceState): {
  values: (readonly [path: string, value: FieldValue])[];
  beyond: number;
} {
  const values: (readonly [string, FieldValue])[] = [['temperature', temperature]];
  const { fields, beyond } = fieldsOf(object, ELSEWHERE);
  for (const { path, value } of fields) values.push([path, value]);
  return { values, beyond };
}

function fieldsFrom(
  values: readonly (readonly [string, FieldValue])[],
  before: readonly Field[],
  at: number,
): readonly Field[] {
  let sampled = 0;
  return values.map(([key, value], index) => {
    let samples: Samples | undefined;
    if (typeof value === 'number' && sampled < SAMPLED_MAX) {
      sampled += 1;
      // Nearly always in the same place.
      const known = before[index]?.key === key ? before[index] : before.find((field) => field.key === key);
      samples = (known?.samples ?? Samples.NONE).with(at, value);
    }
    return { key, label: key, unit: key === 'temperature' ? '°C' : undefined, value, at, samples };
  });
}

/**
 * A state that we saw arrive keeps its time when it comes again as the retained one. Otherwise the device's clock has to
 * do, except that a device whose clock runs ahead has not published in the future.
 */
function retainedAt(device: Device, status: Status, madeAt: number, arrivedAt: number): number {
  const again = device.madeAt === madeAt && device.status === status;
  return again ? device.stateAt : Math.max(1, Math.min(madeAt, arrivedAt));
}
