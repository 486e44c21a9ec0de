/**
 * What the configuration of one entity means for a device: values with the topics that they come from, controls with what
 * they publish, and what says whether it is there. Pure; whatever the configuration holds, it makes an entity or says why not.
 */
import type { Control, ControlBase, FieldValue, TextEncoding } from '../../model.ts';
import type { Config } from './abbreviations.ts';
import { configOf, inFull } from './abbreviations.ts';
import type { Reading } from './template.ts';
import { readingOf, surroundings } from './template.ts';

/** A value that is heard of at a topic. */
export interface FieldSpec {
  key: string;
  label: string;
  unit: string | undefined;
  topic: string;
  reading: Reading;
  kind: 'number' | 'text' | 'truth';
  /** Payloads that mean true and false. */
  truths?: { on: string; off: string };
  /** How true and false are called. */
  words?: { on: string; off: string };
  /** The lower, the more it is what the device is about. */
  rank: number;
}

export interface AvailabilitySpec {
  topic: string;
  reading: Reading;
  yes: string;
  no: string;
}

export interface Entity {
  name: string | undefined;
  fields: FieldSpec[];
  controls: Control[];
  availability: AvailabilitySpec[];
  availabilityMode: 'all' | 'any' | 'latest';
  /** After so long without a value it has expired. */
  expireMs: number | undefined;
  problems: string[];
}

/** Of components that are known to have no value and no command. */
const NOTHING_TO_SHOW = new Set(['device_automation', 'tag', 'camera', 'image', 'update', 'notify']);
const RANK = { main: 0, primary: 1, secondary: 2, diagnostic: 3, hidden: 4 };
const TEXT_CHARS_MAX = 200;
const OPTIONS_MAX = 100;
const AVAILABILITY_MAX = 8;
const TOPIC_CHARS_MAX = 1_000;
/** Wildcards would bring in everybody's messages. */
// eslint-disable-next-line no-control-regex -- that is what it is about
const UNUSABLE = /[+#\u0000-\u001f\u007f-\u009f\ud800-\udfff]|^\$share\/|^$/u;

export function entityOf(component: string, objectId: string, config: Config): Entity {
  const maker = new Maker(component, objectId, config);
  maker.make();
  return maker.entity;
}

class Maker {
  readonly entity: Entity;
  readonly #component: string;
  readonly #config: Config;
  readonly #base: string | undefined;
  readonly #key: string;
  readonly #label: string;
  readonly #problems: string[] = [];

  constructor(component: string, objectId: string, config: Config) {
    this.#component = component;
    this.#config = config;
    this.#base = this.#text('~');
    this.#key = `${component}.${objectId}`;
    const name = this.#text('name');
    const deviceClass = this.#text('device_class');
    this.#label =
      name ?? (deviceClass === undefined ? objectId : capitalised(deviceClass.replaceAll('_', ' ')));
    const expireSecs = this.#number('expire_after');
    this.entity = {
      name,
      fields: [],
      controls: [],
      availability: this.#availability(),
      availabilityMode: modeOf(this.#text('availability_mode')),
      expireMs: expireSecs !== undefined && expireSecs > 0 ? expireSecs * 1_000 : undefined,
      problems: this.#problems,
    };
  }

  make(): void {
    switch (this.#component) {
      case 'binary_sensor':
        this.#truth();
        break;
      case 'switch':
      case 'siren':
      case 'input_boolean':
        this.#switch();
        break;
      case 'fan':
        this.#switch();
        this.#percentage();
        break;
      case 'light':
        if (this.#text('schema') === 'json') this.#jsonLight();
        else this.#light();
        break;
      case 'button':
      case 'scene':
        this.#button(this.#label, '', this.#text('payload_press') ?? this.#text('payload_on') ?? 'PRESS');
        break;
      case 'number':
        this.#numberEntity();
        break;
      case 'select':
        this.#field({});
        this.#control({ kind: 'select', options: this.#list('options') });
        break;
      case 'text':
        this.#field({});
        this.#control({ kind: 'text', lengthMax: Math.min(this.#number('max') ?? 255, 255) });
        break;
      case 'climate':
        this.#climate();
        break;
      case 'cover':
      case 'valve':
        this.#cover();
        break;
      case 'lock':
        this.#lock();
        break;
      case 'sensor':
        this.#sensor();
        break;
      default:
        // What else there is has a state at least.
        if (!NOTHING_TO_SHOW.has(this.#component)) this.#field({});
    }
  }

  #sensor(): void {
    const names = ['unit_of_measurement', 'state_class', 'suggested_display_precision'];
    const isNumber = names.some((name) => this.#config.get(name) !== undefined);
    this.#field({ kind: isNumber ? 'number' : 'text', rank: isNumber ? RANK.primary : RANK.secondary });
  }

  #truth(): void {
    const words = WORDS.get(this.#text('device_class') ?? '');
    this.#field({ ...this.#onAndOff(), ...(words === undefined ? {} : { words }) });
  }

  #switch(): void {
    const { truths } = this.#onAndOff();
    const states = { on: this.#text('state_on') ?? truths.on, off: this.#text('state_off') ?? truths.off };
    this.#field({
      ...this.#onAndOff(),
      truths: states,
      rank: RANK.main,
      reading: this.#reading('state_value_template', 'value_template'),
    });
    this.#control({ kind: 'switch' }, { words: wordsFor(truths) });
  }

  #light(): void {
    this.#field({
      ...this.#onAndOff(),
      rank: RANK.main,
      reading: this.#reading('state_value_template', 'value_template'),
    });
    this.#control({ kind: 'switch' }, { words: wordsFor(this.#onAndOff().truths) });
    if (this.#topic('brightness_command_topic') === undefined) return;
    this.#part('brightness', 'brightness', { max: this.#number('brightness_scale') ?? 255 });
  }

  /** Its state and its commands are objects of JSON at one topic. */
  #jsonLight(): void {
    const at = (member: string): Reading => ({ path: [member], decimals: undefined });
    const truths = { on: 'ON', off: 'OFF' };
    const words = { on: 'on', off: 'off' };
    this.#field({ kind: 'truth', truths, words, rank: RANK.main, reading: at('state') });
    this.#control({ kind: 'switch' }, { before: '{"state":"', after: '"}', words: wordsFor(truths) });
    const modes = this.#list('supported_color_modes');
    const isDimmable = this.#config.get('brightness') === true || modes.some((mode) => mode !== 'onoff');
    if (!isDimmable) return;
    const max = this.#number('brightness_scale') ?? 255;
    const [key, label] = [`${this.#key}.brightness`, `${this.#label} brightness`];
    this.#field({ key, label, kind: 'number', rank: RANK.secondary, reading: at('brightness') });
    this.#control(
      { kind: 'number', min: 0, max, step: 1, unit: undefined },
      { before: '{"state":"ON","brightness":', after: '}' },
      { key, label },
    );
  }

  #percentage(): void {
    if (this.#topic('percentage_command_topic') === undefined) return;
    this.#part('percentage', 'speed', { max: 100, unit: '%' });
  }

  /** A number with topics of its own beside the entity's. */
  #part(prefix: string, word: string, { max, unit }: { max: number; unit?: string }): void {
    const [key, label] = [`${this.#key}.${word}`, `${this.#label} ${word}`];
    const reading = this.#reading(`${prefix}_value_template`);
    this.#field({ key, label, unit, kind: 'number', rank: RANK.secondary, reading }, `${prefix}_state_topic`);
    this.#control(
      { kind: 'number', min: 0, max, step: 1, unit },
      this.#around(`${prefix}_command_template`),
      { key, label },
      `${prefix}_command_topic`,
    );
  }

  #numberEntity(): void {
    this.#field({ kind: 'number', rank: RANK.secondary });
    const { min, max } = this.#range('min', 1, 'max', 100);
    const step = this.#number('step') ?? 1;
    this.#control({ kind: 'number', min, max, step, unit: this.#unit() });
  }

  #climate(): void {
    const unit = this.#text('temperature_unit') === 'F' ? '°F' : '°C';
    const current = {
      key: `${this.#key}.current`,
      label: 'Temperature',
      unit,
      kind: 'number',
      rank: RANK.main,
    } as const;
    const currentReading = this.#reading('current_temperature_template');
    this.#field({ ...current, reading: currentReading }, 'current_temperature_topic');
    const target = { key: `${this.#key}.target`, label: 'Target temperature' };
    const targetReading = this.#reading('temperature_state_template');
    this.#field(
      { ...target, unit, kind: 'number', rank: RANK.primary, reading: targetReading },
      'temperature_state_topic',
    );
    const { min, max } = this.#range('min_temp', 7, 'max_temp', 35);
    this.#control(
      { kind: 'number', min, max, step: this.#number('temp_step') ?? 1, unit },
      this.#around('temperature_command_template'),
      target,
      'temperature_command_topic',
    );
    const mode = { key: `${this.#key}.mode`, label: 'Mode' };
    this.#field({ ...mode, reading: this.#reading('mode_state_template') }, 'mode_state_topic');
    const modes = this.#list('modes');
    const options = modes.length > 0 ? modes : ['auto', 'off', 'cool', 'heat', 'dry', 'fan_only'];
    this.#control(
      { kind: 'select', options },
      this.#around('mode_command_template'),
      mode,
      'mode_command_topic',
    );
    const action = { key: `${this.#key}.action`, label: 'Action' };
    this.#field({ ...action, reading: this.#reading('action_template') }, 'action_topic');
  }

  #cover(): void {
    this.#field({ rank: RANK.main });
    const position = { key: `${this.#key}.position`, label: `${this.#label} position` };
    const reading = this.#reading('position_template', 'value_template');
    this.#field({ ...position, unit: '%', kind: 'number', rank: RANK.secondary, reading }, 'position_topic');
    for (const [name, word] of [
      ['open', 'OPEN'],
      ['close', 'CLOSE'],
      ['stop', 'STOP'],
    ] as const) {
      const payload =
        this.#config.get(`payload_${name}`) === null ? undefined : (this.#text(`payload_${name}`) ?? word);
      if (payload !== undefined) this.#button(`${capitalised(name)} ${this.#label}`, `.${name}`, payload);
    }
    const { min, max } = this.#range('position_closed', 0, 'position_open', 100);
    const around = this.#around('set_position_template');
    this.#control({ kind: 'number', min, max, step: 1, unit: '%' }, around, position, 'set_position_topic');
  }

  #lock(): void {
    const truths = {
      on: this.#text('state_locked') ?? 'LOCKED',
      off: this.#text('state_unlocked') ?? 'UNLOCKED',
    };
    this.#field({ kind: 'truth', truths, words: { on: 'locked', off: 'unlocked' }, rank: RANK.main });
    for (const [name, word] of [
      ['lock', 'LOCK'],
      ['unlock', 'UNLOCK'],
    ] as const) {
      this.#button(`${capitalised(name)} ${this.#label}`, `.${name}`, this.#text(`payload_${name}`) ?? word);
    }
  }

  /** Adds a field, if it has a topic. */
  #field(changes: Partial<FieldSpec>, topicName = 'state_topic'): void {
    const topic = this.#topic(topicName);
    if (topic === undefined) return;
    const spec: FieldSpec = {
      key: this.#key,
      label: this.#label,
      unit: this.#unit(),
      topic,
      reading: this.#reading('value_template'),
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
  #control(
    kind: Kind,
    encoding: Partial<Omit<TextEncoding, 'as'>> | null = {},
    named = { key: this.#key, label: this.#label },
    topicName = 'command_topic',
  ): void {
    const topic = this.#topic(topicName);
    if (topic === undefined) return;
    if (topic.startsWith('$')) {
      this.#problems.push(
        `${named.label}: commands to the broker itself are not sent for a device: ${topic.slice(0, 80)}`,
      );
      return;
    }
    const around =
      topicName === 'command_topic' ? this.#around('command_template') : { before: '', after: '' };
    if (around === null || encoding === null) {
      this.#problems.push(`${named.label}: the template of its commands is beyond this page`);
      return;
    }
    const field =
      kind.kind === 'button' ? undefined : this.entity.fields.find(({ key }) => key === named.key)?.key;
    this.entity.controls.push({
      ...kind,
      ...named,
      topic,
      qos: qosOf(this.#number('qos')),
      retain: this.#config.get('retain') === true,
      encoding: { as: 'text', ...around, ...encoding },
      field,
      replies: false,
    });
  }

  #button(label: string, suffix: string, payload: string): void {
    this.#control({ kind: 'button', value: payload }, {}, { key: `${this.#key}${suffix}`, label });
  }

  #onAndOff() {
    const truths = { on: this.#text('payload_on') ?? 'ON', off: this.#text('payload_off') ?? 'OFF' };
    return { kind: 'truth', truths, words: { on: 'on', off: 'off' }, unit: undefined } as const;
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
    const topic = config === undefined ? undefined : this.#topic(topicName, config);
    if (config === undefined || topic === undefined) return undefined;
    return {
      topic,
      reading: readingOf(config.get(templateName)),
      yes: textOf(config.get('payload_available')) ?? 'online',
      no: textOf(config.get('payload_not_available')) ?? 'offline',
    };
  }

  /** The first of these templates that there is. */
  #reading(...names: string[]): Reading {
    return readingOf(names.map((name) => this.#config.get(name)).find((template) => template !== undefined));
  }

  #around(name: string): { before: string; after: string } | null {
    return surroundings(this.#config.get(name)) ?? null;
  }

  #unit(): string | undefined {
    const unit = this.#text('unit_of_measurement');
    return unit === undefined || unit === '' ? undefined : unit.slice(0, 20);
  }

  #rank(rank: number): number {
    if (this.#config.get('enabled_by_default') === false) return RANK.hidden;
    if (this.#config.get('entity_category') !== undefined) return RANK.diagnostic;
    return this.#text('device_class') === 'temperature' ? RANK.main : rank;
  }

  #range(minName: string, minElse: number, maxName: string, maxElse: number): { min: number; max: number } {
    const [one, other] = [this.#number(minName) ?? minElse, this.#number(maxName) ?? maxElse];
    return { min: Math.min(one, other), max: Math.max(one, other) };
  }

  /** A stranger names it: what the broker would end the connection for must not get there. */
  #topic(name: string, config: Config = this.#config): string | undefined {
    const told = config.get(name);
    if (typeof told !== 'string' || told === '') return undefined;
    const topic = inFull(told, this.#base);
    if (topic.length <= TOPIC_CHARS_MAX && !UNUSABLE.test(topic)) return topic;
    const what = `${name} is not a topic that this page listens or publishes to: ${topic.slice(0, 80)}`;
    if (!this.#problems.includes(what)) this.#problems.push(what);
    return undefined;
  }

  #text(name: string): string | undefined {
    return textOf(this.#config.get(name));
  }

  #number(name: string): number | undefined {
    const value = this.#config.get(name);
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  }

  #list(name: string): string[] {
    const list = this.#config.get(name);
    const texts = Array.isArray(list) ? list.slice(0, OPTIONS_MAX).map(textOf) : [];
    return texts.filter((text) => text !== undefined);
  }
}

/** What is particular to a kind of control. */
type Kind = OmitEach<Control, keyof ControlBase>;
type OmitEach<All, Key extends PropertyKey> = All extends unknown ? Omit<All, Key> : never;

const WORDS: ReadonlyMap<string, { on: string; off: string }> = new Map([
  ['door', { on: 'open', off: 'closed' }],
  ['garage_door', { on: 'open', off: 'closed' }],
  ['lock', { on: 'unlocked', off: 'locked' }],
  ['moisture', { on: 'wet', off: 'dry' }],
  ['motion', { on: 'motion', off: 'clear' }],
  ['occupancy', { on: 'occupied', off: 'clear' }],
  ['opening', { on: 'open', off: 'closed' }],
  ['presence', { on: 'home', off: 'away' }],
  ['problem', { on: 'problem', off: 'ok' }],
  ['smoke', { on: 'smoke', off: 'clear' }],
  ['window', { on: 'open', off: 'closed' }],
]);

function wordsFor({ on, off }: { on: string; off: string }): readonly (readonly [FieldValue, string])[] {
  return [
    [true, on],
    [false, off],
  ];
}

/** Payloads may be written as numbers and truth, too. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value.slice(0, TEXT_CHARS_MAX);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

function qosOf(value: number | undefined): 0 | 1 | 2 {
  return value === 1 || value === 2 ? value : 0;
}

function modeOf(text: string | undefined): Entity['availabilityMode'] {
  return text === 'all' || text === 'any' ? text : 'latest';
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
