/**
 * Every value in an object of JSON with the path to it, `battery.voltage` or `levels[2]`. Pure, and bounded, because the
 * payload is a stranger's.
 */
import type { FieldValue } from '../model.ts';

export interface JsonFields {
  fields: readonly { path: string; value: FieldValue }[];
  /** Values beyond {@link FIELDS_MAX} or deeper than {@link DEPTH_MAX}. */
  beyond: number;
}

export const FIELDS_MAX = 32;
export const DEPTH_MAX = 4;

const NONE: ReadonlySet<string> = new Set();

/** Members of the object itself that are in `skip` are left out. */
export function fieldsOf(object: Record<string, unknown>, skip: ReadonlySet<string> = NONE): JsonFields {
  const fields: { path: string; value: FieldValue }[] = [];
  let beyond = 0;
  const visit = (value: unknown, path: string, depth: number): void => {
    if (typeof value !== 'object' || value === null) {
      if (fields.length < FIELDS_MAX) fields.push({ path, value: value as FieldValue });
      else beyond += 1;
    } else if (depth === DEPTH_MAX) {
      beyond += 1;
    } else if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) visit(item, `${path}[${index}]`, depth + 1);
    } else {
      for (const [name, item] of Object.entries(value)) {
        if (depth > 0) visit(item, `${path}.${name}`, depth + 1);
        else if (!skip.has(name)) visit(item, name, depth + 1);
      }
    }
  };
  visit(object, '', 0);
  return { fields, beyond };
}
