/**
 * What a command to many devices would send: which devices, to which topic, which payload, and whom it cannot be sent
 * to and why. What is shown here is what is sent. Pure.
 */
import { tagsTopic } from '../contract.ts';
import { payloadText, UNWRITABLE } from '../encode.ts';
import type { Control, Device, FieldValue } from '../model.ts';
import { isOfWholes, titleOf } from '../model.ts';
import { TAGS_MAX } from '../sources/tags.ts';

/** One control as many devices have it: of the same kind and with the same name. */
export interface Choice {
  id: string;
  label: string;
  kind: Control['kind'];
  /** How many of the devices have it. */
  count: number;
  /** Of a select: what any of them can be set to, at most {@link OPTIONS_MAX}. */
  options: readonly string[];
}

export interface Choices {
  /** What most devices have comes first. */
  choices: readonly Choice[];
  /** Choices beyond {@link CHOICES_MAX}. */
  beyond: number;
  /** How many of the devices take a payload of the user's own. */
  custom: number;
}

export type Wish =
  | { kind: 'control'; choice: string; label: string; value: FieldValue }
  /** A payload of the user's own, to the topic of each device where commands are answered. */
  | { kind: 'custom'; payload: string }
  /** What their retained tags are to become; devices that have it so already are left alone. */
  | { kind: 'tags'; add: readonly string[]; remove: readonly string[] };

export type Act =
  { kind: 'control'; control: Control; value: FieldValue } | { kind: 'custom' } | { kind: 'retain' };

export interface Step {
  device: Device;
  title: string;
  topic: string;
  /** As text; of a payload that is bytes, what it says. */
  payload: string;
  act: Act;
}

export interface Unable {
  device: Device;
  title: string;
  why: string;
}

export interface Plan {
  steps: readonly Step[];
  unable: readonly Unable[];
}

export const CHOICES_MAX = 50;
export const OPTIONS_MAX = 100;

export function choicesOf(devices: readonly Device[]): Choices {
  const found = new Map<string, { choice: Choice; options: Set<string> }>();
  let custom = 0;
  for (const device of devices) {
    if (device.commandTopic !== undefined) custom += 1;
    for (const control of device.controls) {
      const id = idOf(control);
      const known = found.get(id) ?? {
        choice: { id, label: control.label, kind: control.kind, count: 0, options: [] },
        options: new Set<string>(),
      };
      known.choice.count += 1;
      for (const option of control.kind === 'select' ? control.options : []) {
        if (known.options.size < OPTIONS_MAX) known.options.add(option);
      }
      found.set(id, known);
    }
  }
  const choices = [...found.values()]
    .map(({ choice, options }) => ({ ...choice, options: [...options] }))
    .sort((a, b) => b.count - a.count);
  return {
    choices: choices.slice(0, CHOICES_MAX),
    beyond: Math.max(0, choices.length - CHOICES_MAX),
    custom,
  };
}

export function planOf(devices: readonly Device[], wish: Wish, leftOut: ReadonlyMap<string, string>): Plan {
  const steps: Step[] = [];
  const unable: Unable[] = [];
  for (const device of devices) {
    const why = leftOut.get(device.id);
    const step = why === undefined ? stepOf(device, wish) : { why };
    if ('why' in step) unable.push({ device, title: titleOf(device), why: step.why });
    else steps.push({ device, title: titleOf(device), ...step });
  }
  return { steps, unable };
}

type Possible = Omit<Step, 'device' | 'title'> | { why: string };

function stepOf(device: Device, wish: Wish): Possible {
  switch (wish.kind) {
    case 'control':
      return controlStep(device, wish.choice, wish.label, wish.value);
    case 'custom':
      return device.commandTopic === undefined
        ? { why: 'takes no commands of this form' }
        : { topic: device.commandTopic, payload: wish.payload, act: { kind: 'custom' } };
    case 'tags':
      return tagsStep(device, wish.add, wish.remove);
  }
}

function controlStep(device: Device, choice: string, label: string, value: FieldValue): Possible {
  const control = device.controls.find((one) => idOf(one) === choice);
  if (control === undefined) return { why: `has no “${label}”` };
  const wanted = control.kind === 'button' ? control.value : value;
  const problem = problemWith(control, wanted);
  if (problem !== undefined) return { why: problem };
  const { topic } = control;
  const payload = payloadText(control, wanted);
  return payload === undefined
    ? { why: UNWRITABLE }
    : { topic, payload, act: { kind: 'control', control, value: wanted } };
}

/** Each device has bounds of its own. */
function problemWith(control: Control, value: FieldValue): string | undefined {
  switch (control.kind) {
    case 'button':
      return undefined;
    case 'switch':
      return typeof value === 'boolean' ? undefined : 'is a switch: on or off';
    case 'number': {
      const { min, max } = control;
      const isWhole = isOfWholes(control);
      const fits = typeof value === 'number' && value >= min && value <= max;
      if (fits && (!isWhole || Number.isInteger(value))) return undefined;
      return `takes ${isWhole ? 'whole ' : ''}numbers from ${min} to ${max}`;
    }
    case 'select':
      return typeof value === 'string' && control.options.includes(value)
        ? undefined
        : `takes no “${String(value)}”`;
    case 'text': {
      const fits = typeof value === 'string' && value.length <= control.lengthMax;
      return fits ? undefined : `takes at most ${control.lengthMax} characters`;
    }
  }
}

function tagsStep(device: Device, add: readonly string[], remove: readonly string[]): Possible {
  if (device.source !== 'contract') return { why: 'its tags are not kept by the broker' };
  const kept = device.tags.filter((tag) => !remove.includes(tag));
  const tags = [...new Set([...kept, ...add])];
  const isSame = tags.length === device.tags.length && tags.every((tag) => device.tags.includes(tag));
  if (isSame) return { why: 'has these tags already' };
  if (tags.length > TAGS_MAX) return { why: `would have more than ${TAGS_MAX} tags` };
  return { topic: tagsTopic(device.id), payload: JSON.stringify(tags), act: { kind: 'retain' } };
}

function idOf({ kind, key, label }: Control): string {
  return JSON.stringify([kind, key, label]);
}
