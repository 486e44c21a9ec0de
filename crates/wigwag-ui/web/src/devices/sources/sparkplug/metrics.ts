/** What a metric of a birth certificate means for a device: a value with its unit, and a control if it can be written. Pure. */
import { isCommandable } from '../../../message/sparkplug-command.ts';
import type { Metric } from '../../../message/sparkplug.ts';
import type { Value } from '../../../message/value.ts';
import { formatValue } from '../../../message/value.ts';
import type { About, Control, FieldValue } from '../../model.ts';

export interface MetricSpec {
  name: string;
  alias: number | bigint | undefined;
  type: string | undefined;
  unit: string | undefined;
  /** The lower, the more it is what the device is about. */
  rank: number;
}

export const REBIRTH = 'Node Control/Rebirth';

const TEXT_CHARS_MAX = 200;
const NAME_CHARS_MAX = 200;
const SIGNED_BITS = new Map([
  ['Int8', 8],
  ['Int16', 16],
  ['Int32', 32],
  ['Int64', 64],
]);
/** What each type of whole numbers can hold. */
const RANGES = new Map<string, [min: number, max: number]>([
  ['Int8', [-128, 127]],
  ['Int16', [-32_768, 32_767]],
  ['Int32', [-2_147_483_648, 2_147_483_647]],
  ['Int64', [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]],
  ['UInt8', [0, 255]],
  ['UInt16', [0, 65_535]],
  ['UInt32', [0, 4_294_967_295]],
  ['UInt64', [0, Number.MAX_SAFE_INTEGER]],
]);
const FLOAT_MAX = 3.4e38;
const UNITS = ['engunit', 'engunits', 'engineeringunits', 'unit', 'units'];
/** Names of metrics that say what the thing is, in the manner of `Properties/Hardware Make`. */
const ABOUT: readonly (readonly [RegExp, keyof About])[] = [
  [/(?:^|\/)(?:hardware make|manufacturer|vendor)$/i, 'manufacturer'],
  [/(?:^|\/)(?:hardware model|model)$/i, 'model'],
  [/(?:^|\/)(?:fw|firmware|firmware version|sw version)$/i, 'firmware'],
  [/(?:^|\/)(?:hardware version|hw version)$/i, 'hardware'],
  [/(?:^|\/)(?:serial|serial number)$/i, 'serial'],
];

export function specOf({ name, alias, type, properties, value }: Metric): MetricSpec | undefined {
  if (name === undefined || name === '' || name.length > NAME_CHARS_MAX || isControl(name)) return undefined;
  const unit = UNITS.map((key) => property(properties, key)).find((text) => typeof text === 'string');
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  const rank = aboutOf(name) !== undefined ? 3 : !isNumber ? 2 : unit === undefined ? 1 : 0;
  return { name, alias, type, unit: typeof unit === 'string' ? unit.slice(0, 20) : undefined, rank };
}

export function aboutOf(name: string): keyof About | undefined {
  return ABOUT.find(([pattern]) => pattern.test(name))?.[1];
}

/** As values of fields are. Whole numbers of a message that leaves their type to the birth have lost their sign. */
export function fieldValueOf(value: Value, type: string | undefined): FieldValue | undefined {
  if (value === undefined || value === null || typeof value === 'boolean') return value;
  if (typeof value === 'string') return value.slice(0, TEXT_CHARS_MAX);
  if (typeof value === 'number' || typeof value === 'bigint') {
    const bits = SIGNED_BITS.get(type ?? '');
    const whole = bits !== undefined && (typeof value === 'bigint' || Number.isInteger(value));
    const number = Number(whole ? BigInt.asIntN(bits, BigInt(value)) : value);
    return Number.isFinite(number) ? number : String(value);
  }
  return formatValue(value).slice(0, TEXT_CHARS_MAX);
}

/**
 * The specification has no word for what can be written. What says so of itself is taken at its word, as `readOnly` of
 * some hosts has it; of the others, switches and what is called a control are offered.
 */
export function controlOf({ name, alias, type, properties }: Metric, topic: string): Control | undefined {
  if (name === undefined || !isCommandable(type)) return undefined;
  const readOnly = property(properties, 'readonly');
  const isWritable = property(properties, 'writable') === true || readOnly === false;
  const isOffered = isControl(name) || type === 'Boolean';
  if (readOnly === true || !(isWritable || isOffered)) return undefined;
  const base = {
    key: name,
    label: name.replace(/^(?:Node|Device) Control\//, ''),
    topic,
    qos: 0,
    retain: false,
    encoding: { as: 'sparkplug', metric: name, alias, type },
    replies: false,
  } as const;
  // The value of such a metric does not change: pressing it is all.
  if (isControl(name)) {
    return type === 'Boolean' ? { ...base, kind: 'button', value: true, field: undefined } : undefined;
  }
  if (type === 'Boolean') return { ...base, kind: 'switch', field: name };
  if (type === 'String' || type === 'Text') return { ...base, kind: 'text', lengthMax: 1_000, field: name };
  const [min, max] = RANGES.get(type) ?? [-FLOAT_MAX, FLOAT_MAX];
  const low = property(properties, 'englow');
  const high = property(properties, 'enghigh');
  return {
    ...base,
    kind: 'number',
    min: typeof low === 'number' ? low : min,
    max: typeof high === 'number' ? high : max,
    step: RANGES.has(type) ? 1 : 0,
    unit: specOf({ name, value: 0, ...(properties === undefined ? {} : { properties }) })?.unit,
    field: name,
  };
}

/** For nodes that were not heard being born, too. */
export function rebirthControl(topic: string, alias: number | bigint | undefined): Control {
  return {
    kind: 'button',
    key: REBIRTH,
    label: 'Rebirth',
    value: true,
    topic,
    qos: 0,
    retain: false,
    encoding: { as: 'sparkplug', metric: REBIRTH, alias, type: 'Boolean' },
    field: undefined,
    replies: false,
  };
}

function isControl(name: string): boolean {
  return /^(?:Node|Device) Control\//.test(name);
}

/** By its name, in whichever case and with or without spaces. */
function property(properties: Metric['properties'], wanted: string): Value {
  for (const [key, value] of properties ?? []) {
    if (typeof key === 'string' && key.toLowerCase().replaceAll(' ', '') === wanted) return value;
  }
  return undefined;
}
