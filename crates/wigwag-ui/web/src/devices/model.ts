/**
 * What the page knows of a device, whichever way it was heard of: the sources fill this in, and cards, table, palette and
 * device page know nothing else. Immutable plain data: a change makes another record, of the changed device only.
 */
import type { Samples } from './samples.ts';

/** Ways in which devices speak: each has its module below `sources/`. */
export const SOURCES = ['contract', 'home-assistant', 'sparkplug'] as const;
export type SourceKind = (typeof SOURCES)[number];

/** As people call them. */
export const SOURCE_NAMES: Record<SourceKind, string> = {
  contract: 'Wigwag',
  'home-assistant': 'Home Assistant',
  sparkplug: 'Sparkplug B',
};

export interface Device {
  /** Unique among all sources, and what stands in the page's address; it holds a slash if it is not of the contract. */
  id: string;
  source: SourceKind;
  /** What it is called, and sorted by. */
  name: string;
  about: About;
  /** By which devices are grouped: those that it tells, its area, its group. */
  tags: readonly string[];
  /** The first one is the one that cards and the table show. */
  fields: readonly Field[];
  /** Values that it has besides those in `fields`, which are bounded. */
  fieldsBeyond: number;
  controls: readonly Control[];
  /** Where any payload of the user's own can be sent and will be answered, if there is such a topic. */
  commandTopic: string | undefined;
  /** Whether it is at work, for devices that tell. */
  status: Status | undefined;
  presence: Presence | undefined;
  /** When its last state was made, as far as we can tell; 0 without any. */
  stateAt: number;
  /** When it says that it made its last state, by its own clock. */
  madeAt: number | undefined;
  /** Values further apart are not connected; undefined where they come when they please. */
  silenceMs: number | undefined;
  /** It ought to be publishing all the time: a silence means that something is wrong. */
  isSteady: boolean;
  /** The first one says most about where it is. */
  topics: readonly DeviceTopic[];
  /** What is wrong with what it tells of itself, in words. */
  problems: readonly string[];
  /** Messages that could not be read. */
  invalid: number;
}

export type Status = 'idle' | 'running';

export interface Presence {
  online: boolean;
  /** When we heard it. */
  heardAt: number;
}

export interface About {
  manufacturer?: string;
  model?: string;
  firmware?: string;
  hardware?: string;
  serial?: string;
  area?: string;
}

export type FieldValue = string | number | boolean | null;

export interface Field {
  /** Unique within the device. */
  key: string;
  label: string;
  unit: string | undefined;
  /** Undefined until one was heard. */
  value: FieldValue | undefined;
  /** When the value was heard, or made if that is known. */
  at: number;
  /** The latest numbers, of the first fields only. */
  samples: Samples | undefined;
  /** How true and false are called here, if not so. */
  words?: { on: string; off: string } | undefined;
  /** Why `value` is not what the device means by it, such as a template that is beyond us. */
  doubt?: string;
}

export interface DeviceTopic {
  /** A Topic Filter, as the contract's `device/1/#`. */
  filter: string;
  role: 'all' | 'config' | 'state' | 'availability' | 'command';
}

export type Control = ControlBase &
  (
    | { kind: 'button'; value: FieldValue; words?: { ongoing: string; done: string; icon: 'play' | 'stop' } }
    | { kind: 'switch' }
    | { kind: 'number'; min: number; max: number; step: number; unit: string | undefined }
    | { kind: 'select'; options: readonly string[] }
    | { kind: 'text'; lengthMax: number }
  );

export interface ControlBase {
  /** Unique within the device; the same one of like devices. */
  key: string;
  label: string;
  topic: string;
  qos: 0 | 1 | 2;
  retain: boolean;
  encoding: Encoding;
  /** The field that this sets: shows the present value, and confirms a command by taking the new one. */
  field: string | undefined;
  /** The device answers on the Response Topic. */
  replies: boolean;
}

/** How a value becomes a payload. */
export type Encoding = TextEncoding | WrittenEncoding | SparkplugEncoding;

export interface TextEncoding {
  as: 'text';
  before: string;
  after: string;
  /** What stands for a value; others are written as they are. */
  words?: readonly (readonly [FieldValue, string])[];
}

/** By what its source knows of it, which is pure. Undefined for a value that it can do nothing with: nothing is sent. */
export interface WrittenEncoding {
  as: 'written';
  write: (value: FieldValue) => string | undefined;
}

/** One metric, by its alias if it has one. */
export interface SparkplugEncoding {
  as: 'sparkplug';
  metric: string;
  alias: number | bigint | undefined;
  type: string;
}

/** As it is called in sentences and headings. */
export function titleOf(device: Pick<Device, 'source' | 'name'>): string {
  return device.source === 'contract' ? `Device ${device.name}` : device.name;
}

/** Whether a number that is set so must be whole. */
export function isOfWholes({ min, step }: { min: number; step: number }): boolean {
  return Number.isInteger(step) && step > 0 && Number.isInteger(min);
}

/** What somebody typed, also with a comma as many write it; undefined when it is no number. */
export function numberIn(text: string): number | undefined {
  const number = Number(text.replace(',', '.'));
  return text.trim() === '' || !Number.isFinite(number) ? undefined : number;
}

export function mainField(device: Device): Field | undefined {
  return device.fields[0];
}

export function fieldOf(device: Device, key: string | undefined): Field | undefined {
  return key === undefined ? undefined : device.fields.find((field) => field.key === key);
}

/** The filters of its topics in these roles. */
export function filtersOf(device: Device, ...roles: DeviceTopic['role'][]): string[] {
  return device.topics.filter(({ role }) => roles.includes(role)).map(({ filter }) => filter);
}
