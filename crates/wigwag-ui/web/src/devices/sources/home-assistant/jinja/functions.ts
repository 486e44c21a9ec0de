/**
 * Filters, methods, tests and functions of templates, as far as they turn one value into another by itself: none of
 * them knows the time or what Home Assistant knows besides. Pure.
 */
import { Failure, isSame, isTrue, isUndefined, numberOf, textOf } from './values.ts';

interface Callable {
  /** In their order; the first one is what the filter is applied to. */
  parameters: readonly string[];
  apply: (args: readonly unknown[]) => unknown;
}

const TEXT_CHARS_MAX = 10_000;
const DECIMALS_MAX = 15;
/** More digits than any tie can have. */
const EXACT_DIGITS = 80;

const of = (apply: (value: unknown) => unknown, name = 'value'): Callable => ({
  parameters: [name],
  apply: ([value]) => apply(value),
});
const text = (apply: (value: string) => unknown): Callable => of((value) => apply(textOf(value)));

const rounding: Callable = {
  parameters: ['value', 'precision', 'method', 'default'],
  apply: ([value, precision, method, otherwise]) =>
    orElse(otherwise, () => rounded(numberFrom(value), precision ?? 0, method ?? 'common')),
};
const choosing: Callable = {
  parameters: ['value', 'if_true', 'if_false', 'if_none'],
  apply: ([value, yes = true, no = false, none]) =>
    value === null && none !== undefined ? none : isTrue(value) ? yes : no,
};
const defaulting: Callable = {
  parameters: ['value', 'default_value', 'boolean'],
  apply: ([value, otherwise = '', boolean]) =>
    isUndefined(value) || (isTrue(boolean) && !isTrue(value)) ? otherwise : value,
};

export const FUNCTIONS: ReadonlyMap<string, Callable> = new Map<string, Callable>([
  ['default', defaulting],
  ['d', defaulting],
  ['iif', choosing],
  ['round', rounding],
  ['float', { parameters: ['value', 'default'], apply: ([value, otherwise]) => orElse(otherwise, () => numberFrom(value)) }], // prettier-ignore
  ['int', { parameters: ['value', 'default'], apply: ([value, otherwise]) => orElse(otherwise, () => Math.trunc(numberFrom(value))) }], // prettier-ignore
  ['is_defined', of(defined)],
  ['abs', of((value) => Math.abs(numberOf(value)))],
  ['string', of(textOf)],
  ['lower', text((value) => value.toLowerCase())],
  ['upper', text((value) => value.toUpperCase())],
  ['title', text((value) => value.toLowerCase().replace(/(?<!\w)\w/g, (one) => one.toUpperCase()))],
  ['capitalize', text((value) => value.slice(0, 1).toUpperCase() + value.slice(1).toLowerCase())],
  ['trim', text((value) => value.trim())],
  ['length', of(lengthOf)],
  ['count', of(lengthOf)],
  ['first', of((value) => listOf(value)[0])],
  ['last', of((value) => listOf(value).at(-1))],
  ['to_json', of((value) => JSON.stringify(plain(value)), 'value')],
  ['replace', { parameters: ['value', 'old', 'new'], apply: ([value, old, other]) => replaced(textOf(value), textOf(old), textOf(other)) }], // prettier-ignore
  ['join', { parameters: ['value', 'd'], apply: ([value, between = '']) => bounded(listOf(value).map(textOf).join(textOf(between))) }], // prettier-ignore
  ['split', { parameters: ['value', 'sep'], apply: ([value, at]) => split(textOf(value), at) }],
  ['multiply', { parameters: ['value', 'amount', 'default'], apply: ([value, by, otherwise]) => orElse(otherwise, () => numberFrom(value) * numberOf(by)) }], // prettier-ignore
  ['add', { parameters: ['value', 'amount', 'default'], apply: ([value, by, otherwise]) => orElse(otherwise, () => numberFrom(value) + numberOf(by)) }], // prettier-ignore
  ['get', { parameters: ['value', 'key', 'default'], apply: ([value, key, otherwise = null]) => memberOf(value, key) ?? otherwise }], // prettier-ignore
  ['starts', { parameters: ['value', 'with'], apply: ([value, by]) => textOf(value).startsWith(textOf(by)) }],
  ['ends', { parameters: ['value', 'with'], apply: ([value, by]) => textOf(value).endsWith(textOf(by)) }],
  ['is defined', of((value) => !isUndefined(value))],
  ['is undefined', of(isUndefined)],
  ['is none', of((value) => value === null)],
  ['is number', of((value) => typeof value === 'number' || typeof value === 'boolean')],
  ['is string', of((value) => typeof value === 'string')],
  ['is boolean', of((value) => typeof value === 'boolean')],
  ['is true', of((value) => value === true)],
  ['is false', of((value) => value === false)],
  ['is mapping', of((value) => typeof value === 'object' && value !== null && !Array.isArray(value))],
  ['is eq', { parameters: ['value', 'other'], apply: ([value, other]) => isSame(value, other) }],
  ['is equalto', { parameters: ['value', 'other'], apply: ([value, other]) => isSame(value, other) }],
]);

/** What is written behind a dot, by the name of what does it. */
export const METHODS: ReadonlyMap<string, string> = new Map([
  ['get', 'get'],
  ['split', 'split'],
  ['replace', 'replace'],
  ['lower', 'lower'],
  ['upper', 'upper'],
  ['title', 'title'],
  ['capitalize', 'capitalize'],
  ['strip', 'trim'],
  ['startswith', 'starts'],
  ['endswith', 'ends'],
]);

/** Of an object, a dictionary, a list or a text; undefined when there is no such member. */
export function memberOf(value: unknown, key: unknown): unknown {
  if (value instanceof Map) {
    for (const [known, member] of value as Map<unknown, unknown>) if (isSame(known, key)) return member;
    return undefined;
  }
  if (typeof value === 'string' || Array.isArray(value)) {
    return typeof key === 'number' ? (value.at(key) as unknown) : undefined;
  }
  if (typeof value !== 'object' || value === null) {
    if (isUndefined(value)) throw new Failure('of what is not there, nothing is');
    return undefined;
  }
  return typeof key === 'string' && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

export function bounded(value: string): string {
  if (value.length > TEXT_CHARS_MAX) throw new Failure('the text is too long');
  return value;
}

function defined(value: unknown): unknown {
  if (isUndefined(value)) throw new Failure('it is not there');
  return value;
}

/** What `otherwise` is there for is a value that is no number. */
function orElse(otherwise: unknown, number: () => number): unknown {
  try {
    return number();
  } catch (error) {
    if (isUndefined(otherwise)) throw error;
    return otherwise;
  }
}

/** Also of a text, in which Python sees a number. */
function numberFrom(value: unknown): number {
  if (typeof value !== 'string') return numberOf(value);
  if (!/^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$/.test(value)) throw new Failure('no number');
  return numberOf(Number(value));
}

function rounded(value: number, precision: unknown, method: unknown): number {
  const decimals = Math.min(DECIMALS_MAX, Math.max(0, numberOf(precision)));
  const scale = 10 ** decimals;
  if (method === 'floor') return Math.floor(value * scale) / scale;
  if (method === 'ceil') return Math.ceil(value * scale) / scale;
  if (method !== 'common') throw new Failure('no such way to round');
  const near = Number(value.toFixed(decimals));
  // What lies right between two goes to the even one.
  const rest = Math.abs(value).toFixed(EXACT_DIGITS).split('.')[1]?.slice(decimals) ?? '';
  if (!/^50*$/.test(rest)) return near;
  const down = Math.trunc(value * scale);
  return (down % 2 === 0 ? down : down + Math.sign(value)) / scale;
}

function lengthOf(value: unknown): number {
  return value instanceof Map ? value.size : listOf(value).length;
}

function listOf(value: unknown): readonly unknown[] {
  if (typeof value === 'string') return Array.from(value);
  if (Array.isArray(value)) return value as unknown[];
  if (typeof value === 'object' && value !== null) return Object.keys(value);
  throw new Failure('no list');
}

function split(value: string, at: unknown): string[] {
  if (isUndefined(at) || at === null) return value.split(/\s+/).filter((one) => one !== '');
  if (at === '') throw new Failure('nothing to split at');
  return value.split(textOf(at));
}

function replaced(value: string, old: string, other: string): string {
  if (old === '') throw new Failure('nothing to replace');
  const parts = value.split(old);
  if (value.length + parts.length * other.length > TEXT_CHARS_MAX) throw new Failure('the text is too long');
  return parts.join(other);
}

function plain(value: unknown): unknown {
  if (isUndefined(value)) throw new Failure('it is not there');
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...(value as Map<unknown, unknown>)].map(([key, one]) => [textOf(key), plain(one)])); // prettier-ignore
}
