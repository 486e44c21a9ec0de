/** From the payload at an entity's topic to the value of its field, and to whether the entity is there. Pure. */
import type { FieldValue } from '../../model.ts';
import type { AvailabilitySpec, FieldSpec } from './entity.ts';
import { Payload, read, readingOf } from './template.ts';

/** What stands for a value that is not known. */
const UNKNOWN = new Set(['', 'None', 'unknown', 'unavailable', 'null']);

/** Undefined when the message says nothing about the field. */
export function valueIn(spec: FieldSpec, payload: Payload): FieldValue | undefined {
  const value = memberIn(spec, read(spec.reading, payload));
  if (value === undefined || value === null) return value;
  const name = spec.names?.get(String(value));
  if (name !== undefined) return name;
  switch (spec.kind) {
    case 'truth':
      return truthOf(value, spec.truths ?? { on: 'ON', off: 'OFF' });
    case 'number':
      return numberOf(value);
    case 'text':
      return typeof value === 'string' && UNKNOWN.has(value) ? null : value;
  }
}

function memberIn(
  { member, isMemberOnly }: FieldSpec,
  value: FieldValue | undefined,
): FieldValue | undefined {
  if (member === undefined || value === undefined) return value;
  const isObject = typeof value === 'string' && value.trimStart().startsWith('{');
  if (isObject) return read(readingOf(`{{ value_json.${member} }}`), new Payload(value));
  return isMemberOnly === true ? undefined : value;
}

export function isAvailable(spec: AvailabilitySpec, payload: Payload): boolean | undefined {
  const value = read(spec.reading, payload);
  if (value === undefined || value === null) return undefined;
  const truth = truthOf(value, { on: spec.yes, off: spec.no });
  return typeof truth === 'boolean' ? truth : undefined;
}

/** Neither of both stays what it is. */
function truthOf(value: string | number | boolean, { on, off }: { on: string; off: string }): FieldValue {
  const text = String(value);
  if (isSame(text, on, value)) return true;
  if (isSame(text, off, value)) return false;
  return UNKNOWN.has(text) ? null : value;
}

/** Home Assistant's own language writes truth with a capital letter. */
function isSame(text: string, wanted: string, value: string | number | boolean): boolean {
  return text === wanted || (typeof value === 'boolean' && text === wanted.toLowerCase());
}

function numberOf(value: string | number | boolean): FieldValue {
  if (typeof value !== 'string') return value;
  if (UNKNOWN.has(value.trim())) return null;
  const isNumber = /^\s*[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?\s*$/.test(value);
  return isNumber && Number.isFinite(Number(value)) ? Number(value) : value;
}
