/**
 * What templates of Home Assistant are to a device's values and commands: from a payload to a value, and from a value to
 * a payload. What a template means is for `jinja/`. Pure.
 */
import type { FieldValue, TextEncoding, WrittenEncoding } from '../../model.ts';
import { Template } from './jinja/template.ts';

export interface Reading {
  /** Undefined for the payload as it is. */
  template: Template | undefined;
  /** Why the value is not what the device means. */
  doubt?: string;
}

const DOUBT = 'The template is beyond this page: this is the payload as it came';
const TEXT_CHARS_MAX = 1_024;

export const WHOLE: Reading = { template: undefined };

export function readingOf(template: unknown): Reading {
  if (template === undefined || template === null || template === '') return WHOLE;
  const known = typeof template === 'string' ? Template.of(template, ['value', 'value_json']) : undefined;
  return known === undefined ? { ...WHOLE, doubt: DOUBT } : { template: known };
}

/** The payload, parsed at most once however many templates look at it. */
export class Payload {
  readonly text: string;
  #names: ReadonlyMap<string, unknown> | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** What templates know it by. */
  get names(): ReadonlyMap<string, unknown> {
    this.#names ??= new Map([
      ['value', this.text],
      ['value_json', parsed(this.text)],
    ]);
    return this.#names;
  }
}

/** Undefined when there is nothing at that place: then a message is about something else. */
export function read({ template }: Reading, payload: Payload): FieldValue | undefined {
  if (template === undefined) return payload.text.slice(0, TEXT_CHARS_MAX);
  const value = template.valueOf(payload.names);
  if (typeof value === 'string') return value === '' ? undefined : value.slice(0, TEXT_CHARS_MAX);
  if (value === undefined || value === null || typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  // Lists and objects that were made by the template itself are nothing that was told.
  return value instanceof Map ? undefined : JSON.stringify(value).slice(0, TEXT_CHARS_MAX);
}

/** What commands are made with, by the names that templates have for it. */
const COMMAND_NAMES = ['value', 'position', 'tilt_position', 'state'];
/** Filters behind which a value of ours is what it was. */
const KEEPING = new Set(['int', 'float', 'string']);

/**
 * How a value becomes a payload by this template. Undefined when that is beyond us: of templates that do more than to put
 * the value within a text, those that fail for one of `samples`, and all of them when there are none.
 */
export function commandOf(
  template: unknown,
  samples: readonly FieldValue[],
): TextEncoding | WrittenEncoding | undefined {
  if (template === undefined || template === null || template === '') return plainly('', '');
  const known = typeof template === 'string' ? Template.of(template, COMMAND_NAMES) : undefined;
  if (known === undefined) return undefined;
  const plain = aroundValue(known);
  if (plain !== undefined || samples.length === 0) return plain;
  const write = (value: FieldValue): string | undefined =>
    known.textOf(new Map(COMMAND_NAMES.map((name) => [name, value])));
  return samples.some((sample) => write(sample) === undefined) ? undefined : { as: 'written', write };
}

/** Of a template that puts the value within a text, whatever the value. */
function aroundValue({ nodes }: Template): TextEncoding | undefined {
  const at = nodes.findIndex(({ kind }) => kind === 'output');
  const isPlain = nodes.every((node, index) =>
    index === at ? node.kind === 'output' && isValue(node.value) : node.kind === 'text',
  );
  if (at < 0 || !isPlain) return undefined;
  const text = (from: number, to?: number): string =>
    nodes.slice(from, to).map((node) => (node.kind === 'text' ? node.text : '')).join(''); // prettier-ignore
  return plainly(text(0, at).trimStart(), text(at + 1).trimEnd());
}

function isValue(of: Extract<Template['nodes'][number], { kind: 'output' }>['value']): boolean {
  if (of.kind === 'name') return COMMAND_NAMES.includes(of.name);
  const [first] = of.kind === 'call' ? of.args : [];
  return (
    of.kind === 'call' &&
    KEEPING.has(of.name) &&
    of.args.length === 1 &&
    first !== undefined &&
    isValue(first)
  );
}

function plainly(before: string, after: string): TextEncoding {
  return { as: 'text', before, after };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
