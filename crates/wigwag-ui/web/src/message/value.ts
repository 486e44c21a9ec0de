/**
 * What a payload says, whatever it was encoded in: the values of JSON, and what CBOR, MessagePack and Sparkplug have
 * besides. Shown in the notation of JSON, and where that ends in the diagnostic notation of CBOR (RFC 8949, section 8).
 */
export type Value =
  null | undefined | boolean | number | bigint | string | Uint8Array | Value[] | ValueMap | Tagged;

/** Not an object: keys may be anything in CBOR, and a key such as `__proto__` must be like any other. */
export type ValueMap = Map<Value, Value>;

/** A value with a meaning that is not ours to know, such as a tag of CBOR. */
export class Tagged {
  readonly tag: string;
  readonly value: Value;

  constructor(tag: string, value: Value) {
    this.tag = tag;
    this.value = value;
  }
}

/** The payload is not what it was decoded as. The message says why, and where that helps. */
export class DecodeError extends Error {}

/** Deeper nesting is refused: it is nobody's data, and would cost indentation without end. */
export const DEPTH_MAX = 64;

/** What `JSON.parse` made. */
export function fromJson(json: unknown, depth = 0): Value {
  if (depth > DEPTH_MAX) throw tooDeep();
  if (Array.isArray(json)) return json.map((element) => fromJson(element, depth + 1));
  if (typeof json === 'object' && json !== null) {
    return new Map(Object.entries(json).map(([key, value]) => [key, fromJson(value, depth + 1)]));
  }
  return json as null | boolean | number | string;
}

export function tooDeep(): DecodeError {
  return new DecodeError(`it is nested deeper than ${DEPTH_MAX} levels`);
}

/** Indented, one value a line. */
export function formatValue(value: Value, indent = ''): string {
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    return bracketed(
      '[]',
      indent,
      value.map((element) => inner + formatValue(element, inner)),
    );
  }
  if (value instanceof Map) {
    const rows = [...value].map(
      ([key, of]) => `${inner}${formatValue(key, inner)}: ${formatValue(of, inner)}`,
    );
    return bracketed('{}', indent, rows);
  }
  if (value instanceof Tagged) return `${value.tag}(${formatValue(value.value, indent)})`;
  if (value instanceof Uint8Array) return `h'${hexOf(value)}'`;
  return typeof value === 'string' ? JSON.stringify(value) : formatNumber(value);
}

function formatNumber(value: null | undefined | boolean | number | bigint): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function bracketed(brackets: '[]' | '{}', indent: string, rows: string[]): string {
  return rows.length === 0
    ? brackets
    : `${brackets.charAt(0)}\n${rows.join(',\n')}\n${indent}${brackets.charAt(1)}`;
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
