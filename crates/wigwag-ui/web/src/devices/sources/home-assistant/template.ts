/**
 * The plain forms of Home Assistant's templates: the payload itself or one place within its JSON, and a value within a
 * text. Whatever else they may do is a language of its own, and not done here. Pure.
 */
import type { FieldValue } from '../../model.ts';

export interface Reading {
  /** Steps into the JSON; undefined for the payload as it is. */
  path: readonly (string | number)[] | undefined;
  /** Decimals that numbers are rounded to. */
  decimals: number | undefined;
  /** Why the value is not what the template would make of it. */
  doubt?: string;
}

const DOUBT = 'The template is beyond this page: this is the payload as it came';
const EXPRESSION =
  /^\s*\{\{-?\s*(value|value_json)((?:\s*\.\s*\w+|\s*\[\s*(?:'[^']*'|"[^"]*"|\d+)\s*\])*)\s*((?:\|[^|{}]*)*?)-?\}\}\s*$/;
const STEP = /\.\s*(\w+)|\[\s*(?:'([^']*)'|"([^"]*)"|(\d+))\s*\]/g;
/** Filters that leave the value what it is, or that a number survives. */
const FILTER =
  /^(?:is_defined|float(?:\([^()]*\))?|int(?:\([^()]*\))?|string|round(?:\(\s*(\d{1,2})\s*\))?)$/;
const TEMPLATE_CHARS_MAX = 500;

export const WHOLE: Reading = { path: undefined, decimals: undefined };

export function readingOf(template: unknown): Reading {
  if (template === undefined || template === null || template === '') return WHOLE;
  if (typeof template !== 'string' || template.length > TEMPLATE_CHARS_MAX) return { ...WHOLE, doubt: DOUBT };
  const [, root, steps = '', filters = ''] = EXPRESSION.exec(template) ?? [];
  if (root === undefined || (root === 'value' && steps.trim() !== '')) return { ...WHOLE, doubt: DOUBT };
  let decimals: number | undefined;
  for (const filter of filters.split('|').slice(1)) {
    const known = FILTER.exec(filter.trim());
    if (known === null) return { ...WHOLE, doubt: DOUBT };
    if (filter.trim().startsWith('round')) decimals = Number(known[1] ?? 0);
  }
  if (root === 'value') return { path: undefined, decimals };
  const path = [...steps.matchAll(STEP)].map(([, name, single, double, index]) =>
    index === undefined ? (name ?? single ?? double ?? '') : Number(index),
  );
  return { path, decimals };
}

/** The payload, parsed at most once however many templates look at it. */
export class Payload {
  readonly text: string;
  #json: { value: unknown } | undefined;

  constructor(text: string) {
    this.text = text;
  }

  get json(): unknown {
    this.#json ??= { value: parsed(this.text) };
    return this.#json.value;
  }
}

/** Undefined when there is nothing at that place: then a message is about something else. */
export function read({ path, decimals }: Reading, payload: Payload): FieldValue | undefined {
  if (path === undefined) return rounded(payload.text, decimals);
  let at = payload.json;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  if (typeof at === 'string' || typeof at === 'number' || typeof at === 'boolean')
    return rounded(at, decimals);
  return at === null ? null : JSON.stringify(at).slice(0, TEXT_CHARS_MAX);
}

/** What stands before and after the value in a payload; nothing when the template does more than that. */
export function surroundings(template: unknown): { before: string; after: string } | undefined {
  if (template === undefined || template === null || template === '') return { before: '', after: '' };
  if (typeof template !== 'string' || template.length > TEMPLATE_CHARS_MAX) return undefined;
  const parts = template.split(
    /\{\{-?\s*value\s*(?:\|\s*(?:int|float|string|round(?:\(\d{0,2}\))?)\s*)?-?\}\}/,
  );
  const [before, after, more] = parts;
  const isPlain = parts.every((part) => !/\{\{|\{%|\{#/.test(part));
  return isPlain && before !== undefined && after !== undefined && more === undefined
    ? { before, after }
    : undefined;
}

const TEXT_CHARS_MAX = 1_024;

function rounded(value: string | number | boolean, decimals: number | undefined): FieldValue {
  if (typeof value === 'string') return value.slice(0, TEXT_CHARS_MAX);
  if (typeof value !== 'number' || decimals === undefined) return value;
  return Number(value.toFixed(decimals));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
