/** Places within a payload, written as JSONPath does (`$.sensors[0].temperature`), and the numbers found there. */
import type { Value } from './value.ts';

export type Path = readonly (string | number)[];

export interface Plottable {
  path: Path;
  number: number;
}

/** More are not offered: nobody chooses from a longer list. */
export const PLOTTABLE_MAX = 200;

const PLAIN = /^[A-Za-z_][\w-]*$/;

export function formatPath(path: Path): string {
  const steps = path.map((step) => {
    if (typeof step === 'number') return `[${step}]`;
    return PLAIN.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  });
  return `$${steps.join('')}`;
}

/** All places with a number, in the order of the payload, up to {@link PLOTTABLE_MAX}. */
export function plottable(value: Value): Plottable[] {
  const found: Plottable[] = [];
  collect(value, [], found);
  return found;
}

export function numberAt(value: Value, path: Path): number | undefined {
  let at = value;
  for (const step of path) {
    if (typeof step === 'number') at = Array.isArray(at) ? at[step] : undefined;
    else at = at instanceof Map ? at.get(step) : undefined;
  }
  return numberOf(at);
}

function collect(value: Value, path: Path, found: Plottable[]): void {
  if (found.length === PLOTTABLE_MAX) return;
  const number = numberOf(value);
  if (number !== undefined) found.push({ path, number });
  if (Array.isArray(value)) {
    for (const [index, element] of value.entries()) collect(element, [...path, index], found);
  } else if (value instanceof Map) {
    for (const [key, of] of value) if (typeof key === 'string') collect(of, [...path, key], found);
  }
}

/** Truth is one, and a number in quotes is a number: sensors send both. */
function numberOf(value: Value): number | undefined {
  let number: number;
  if (typeof value === 'number' || typeof value === 'bigint') number = Number(value);
  else if (typeof value === 'boolean') number = value ? 1 : 0;
  else if (typeof value === 'string' && /^\s*[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?\s*$/.test(value)) {
    number = Number(value);
  } else return undefined;
  return Number.isFinite(number) ? number : undefined;
}
