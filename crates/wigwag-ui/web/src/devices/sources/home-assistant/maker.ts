/**
 * Makes an entity out of its configuration, for `components/`, which knows what each kind of entity has: reads what stands
 * there, and adds values and controls. What cannot be used is named among the problems of the entity. Pure.
 */
import type { Control, ControlBase, FieldValue, TextEncoding, WrittenEncoding } from '../../model.ts';
import type { Config } from './abbreviations.ts';
import { configOf, inFull } from './abbreviations.ts';
import type { AvailabilitySpec, Entity, FieldSpec } from './entity.ts';
import type { Reading } from './template.ts';
import { commandOf, readingOf } from './template.ts';

export const RANK = { main: 0, primary: 1, secondary: 2, diagnostic: 3, hidden: 4 };
const TEXT_CHARS_MAX = 200;
/** Longer payloads are not sent: half of one would mean something else. */
const PAYLOAD_CHARS_MAX = 4_096;
const OPTIONS_MAX = 100;
const AVAILABILITY_MAX = 8;
const TOPIC_CHARS_MAX = 1_000;
/** Values of a range that the template of its commands is tried with. */
const SAMPLES_MAX = 64;
/** Wildcards would bring in everybody's messages. */
// eslint-disable-next-line no-control-regex -- that is what it is about
const UNUSABLE = /[+#\u0000-\u001f\u007f-\u009f\ud800-\udfff]|^\$share\/|^$/u;

/** What is particular to a kind of control. */
export type Kind = OmitEach<Control, keyof ControlBase>;
type OmitEach<All, Key extends PropertyKey> = All extends unknown ? Omit<All, Key> : never;

export interface Named {
  key: string;
  label: string;
}

/** How the values of a control become payloads: its words first, then the template. */
export interface How {
  topic?: string;
  /** The member of the configuration that has the template. */
  template?: string;
  words?: readonly (readonly [FieldValue, string])[];
  /** In place of a template. */
  around?: { before: string; after: string };
}

export class Maker {
  readonly entity: Entity;
  /** The entity itself, whose other values and controls have longer keys and names. */
  readonly self: Named;
  readonly #config: Config;
  readonly #base: string | undefined;
  readonly #problems: string[] = [];

  constructor(component: string, objectId: string, config: Config) {
    this.#config = config;
    this.#base = this.text('~');
    const name = this.text('name');
    const deviceClass = this.text('device_class');
    const label =
      name ?? (deviceClass === undefined ? objectId : capitalised(deviceClass.replaceAll('_', ' ')));
    this.self = { key: `${component}.${objectId}`, label };
    const expireSecs = this.number('expire_after');
    this.entity = {
      name,
      fields: [],
      controls: [],
      availability: this.#availability(),
      availabilityMode: modeOf(this.text('availability_mode')),
      expireMs: expireSecs !== undefined && expireSecs > 0 ? expireSecs * 1_000 : undefined,
      problems: this.#problems,
    };
  }

  has(name: string): boolean {
    const value = this.#config.get(name);
    return value !== undefined && value !== null;
  }

  isTrue(name: string): boolean {
    return this.#config.get(name) === true;
  }

  /** Said to be nothing, which is not the same as not said. */
  isNull(name: string): boolean {
    return this.#config.get(name) === null;
  }

  text(name: string): string | undefined {
    return this.payload(name)?.slice(0, TEXT_CHARS_MAX);
  }

  /** In its full length. Payloads may be written as numbers and truth, too. */
  payload(name: string): string | undefined {
    return payloadOf(this.#config.get(name));
  }

  number(name: string): number | undefined {
    const value = this.#config.get(name);
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  }

  list(name: string): string[] {
    const told: unknown = this.#config.get(name);
    const all: readonly unknown[] = Array.isArray(told) ? told.slice(0, OPTIONS_MAX) : [told];
    return all.map(payloadOf).filter((one): one is string => one !== undefined && one !== '');
  }

  range(minName: string, minElse: number, maxName: string, maxElse: number): { min: number; max: number } {
    const [one, other] = [this.number(minName) ?? minElse, this.number(maxName) ?? maxElse];
    return { min: Math.min(one, other), max: Math.max(one, other) };
  }

  unit(): string | undefined {
    const unit = this.text('unit_of_measurement')?.trim();
    return unit === undefined || unit === '' ? undefined : unit.slice(0, 20);
  }

  /** The payloads that mean on and off. */
  truths(): { on: string; off: string } {
    return { on: this.payload('payload_on') ?? 'ON', off: this.payload('payload_off') ?? 'OFF' };
  }

  /** By the first of these templates that there is. */
  reading(...names: string[]): Reading {
    return readingOf(names.map((name) => this.#config.get(name)).find((template) => template !== undefined));
  }

  /** What belongs to the entity and is called so, such as its brightness. */
  part(word: string, label = `${this.self.label} ${word.replaceAll('_', ' ')}`): Named {
    return { key: `${this.self.key}.${word}`, label };
  }

  problem(text: string): void {
    if (!this.#problems.includes(text)) this.#problems.push(text);
  }

  /** Adds a field, if it has a topic. */
  field(changes: Partial<FieldSpec>, topicName = 'state_topic'): void {
    const topic = this.topic(topicName);
    if (topic === undefined) return;
    const spec: FieldSpec = {
      ...this.self,
      unit: this.unit(),
      topic,
      reading: this.reading('value_template'),
      kind: 'text',
      rank: RANK.secondary,
      ...changes,
    };
    this.entity.fields.push({ ...spec, rank: this.#rank(spec.rank) });
  }

  /**
   * Adds a control, if it has a topic and what to publish there is plain. Whoever presses it may have rights that the
   * device has not, such as to manage the broker.
   */
  control(kind: Kind, how: How = {}, named: Named = this.self): void {
    const topic = this.topic(how.topic ?? 'command_topic');
    if (topic === undefined) return;
    if (topic.startsWith('$')) {
      this.problem(
        `${named.label}: commands to the broker itself are not sent for a device: ${topic.slice(0, 80)}`,
      );
      return;
    }
    const encoding = this.#encoding(kind, how, named.label);
    if (encoding === undefined) return;
    const field =
      kind.kind === 'button' ? undefined : this.entity.fields.find(({ key }) => key === named.key)?.key;
    this.entity.controls.push({
      ...kind,
      ...named,
      topic,
      qos: qosOf(this.number('qos')),
      retain: this.isTrue('retain'),
      encoding,
      field,
      replies: false,
    });
  }

  button(named: Named, payload: string): void {
    this.control({ kind: 'button', value: payload }, {}, named);
  }

  #encoding(
    kind: Kind,
    { template = 'command_template', words, around }: How,
    label: string,
  ): TextEncoding | WrittenEncoding | undefined {
    const payloads = words?.map(([, payload]) => payload) ?? samplesOf(kind);
    if (payloads.some((payload) => typeof payload === 'string' && payload.length > PAYLOAD_CHARS_MAX)) {
      this.problem(`${label}: payloads of more than ${PAYLOAD_CHARS_MAX} characters are not sent`);
      return undefined;
    }
    if (around !== undefined) return { as: 'text', ...around, ...(words === undefined ? {} : { words }) };
    const command = commandOf(this.#config.get(template), payloads);
    if (command === undefined) {
      this.problem(`${label}: the template of its commands is beyond this page`);
      return undefined;
    }
    if (words === undefined) return command;
    if (command.as === 'text') return { ...command, words };
    return { as: 'written', write: (value) => command.write(wordOf(words, value)) };
  }

  #availability(): AvailabilitySpec[] {
    const list = this.#config.get('availability');
    if (Array.isArray(list)) {
      const each = list
        .slice(0, AVAILABILITY_MAX)
        .map((one) => this.#availabilityOf(configOf(one), 'topic', 'value_template'));
      return each.filter((spec) => spec !== undefined);
    }
    const single = configOf(list);
    const spec =
      single === undefined
        ? this.#availabilityOf(this.#config, 'availability_topic', 'availability_template')
        : this.#availabilityOf(single, 'topic', 'value_template');
    return spec === undefined ? [] : [spec];
  }

  #availabilityOf(
    config: Config | undefined,
    topicName: string,
    templateName: string,
  ): AvailabilitySpec | undefined {
    const topic = config === undefined ? undefined : this.topic(topicName, config);
    if (config === undefined || topic === undefined) return undefined;
    const reading = readingOf(config.get(templateName));
    if (reading.doubt !== undefined) this.problem('The template of its availability is beyond this page');
    return {
      topic,
      reading,
      yes: payloadOf(config.get('payload_available')) ?? 'online',
      no: payloadOf(config.get('payload_not_available')) ?? 'offline',
    };
  }

  /** A stranger names it: what the broker would end the connection for must not get there. */
  topic(name: string, config: Config = this.#config): string | undefined {
    const told = config.get(name);
    if (typeof told !== 'string' || told === '') return undefined;
    const topic = inFull(told, this.#base);
    if (topic.length <= TOPIC_CHARS_MAX && !UNUSABLE.test(topic)) return topic;
    this.problem(`${name} is not a topic that this page listens or publishes to: ${topic.slice(0, 80)}`);
    return undefined;
  }

  #rank(rank: number): number {
    if (this.#config.get('enabled_by_default') === false) return RANK.hidden;
    if (this.has('entity_category')) return RANK.diagnostic;
    return this.text('device_class') === 'temperature' ? RANK.main : rank;
  }
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Payloads of a switch. */
export function wordsFor({
  on,
  off,
}: {
  on: string;
  off: string;
}): readonly (readonly [FieldValue, string])[] {
  return [
    [true, on],
    [false, off],
  ];
}

/** What may be sent, as far as it can be told beforehand. */
function samplesOf(kind: Kind): readonly FieldValue[] {
  switch (kind.kind) {
    case 'button':
      return [kind.value];
    case 'select':
      return kind.options;
    case 'number': {
      const step = Math.max(kind.step, (kind.max - kind.min) / SAMPLES_MAX);
      const count = Math.min(SAMPLES_MAX, Math.floor((kind.max - kind.min) / step));
      return [kind.max, ...Array.from({ length: count }, (_, index) => kind.min + index * step)];
    }
    case 'switch':
    case 'text':
      return [];
  }
}

function wordOf(words: readonly (readonly [FieldValue, string])[], value: FieldValue): FieldValue {
  return words.find(([of]) => of === value)?.[1] ?? value;
}

function payloadOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

function qosOf(value: number | undefined): 0 | 1 | 2 {
  return value === 1 || value === 2 ? value : 0;
}

function modeOf(text: string | undefined): Entity['availabilityMode'] {
  return text === 'all' || text === 'any' ? text : 'latest';
}
