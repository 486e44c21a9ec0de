/** Values within templates, by the rules of the language that Home Assistant has them from: Python's. Pure. */

/** A template that can do nothing with the values that it was given. */
export class Failure extends Error {}

export function isUndefined(value: unknown): value is undefined {
  return value === undefined;
}

export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** True is 1, and nothing else that is of another kind is the same. */
export function isSame(one: unknown, other: unknown): boolean {
  const [left, right] = [one, other].map((value) => (typeof value === 'boolean' ? Number(value) : value));
  if (typeof left === 'object' && left !== null && typeof right === 'object' && right !== null) {
    throw new Failure('lists and objects are not compared');
  }
  return left === right;
}

export function numberOf(value: unknown): number {
  const number = typeof value === 'boolean' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) throw new Failure('no number');
  return number;
}

/** As it stands in a text. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(numberOf(value));
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value === undefined) return '';
  if (value === null) return 'None';
  throw new Failure('lists and objects are not written');
}
