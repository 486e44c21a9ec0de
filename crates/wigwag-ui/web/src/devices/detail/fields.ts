/**
 * What a state says beyond the contract: every value in a JSON payload with the path to it, `battery.voltage` or
 * `levels[2]`. Pure, and bounded, because the payload is a stranger's.
 */
export interface Field {
  path: string;
  value: string | number | boolean | null;
}

export interface Fields {
  fields: readonly Field[];
  /** Values beyond {@link FIELDS_MAX} or deeper than {@link DEPTH_MAX}. */
  beyond: number;
}

export const FIELDS_MAX = 32;
export const DEPTH_MAX = 4;

const UNITS: Readonly<Record<string, string>> = { temperature: '°C' };

/** What the contract says of units; other fields have the unit that their name says. */
export function unitOf(path: string): string | undefined {
  return Object.hasOwn(UNITS, path) ? UNITS[path] : undefined;
}

export function fieldsOf(text: string): Fields {
  const fields: Field[] = [];
  let beyond = 0;
  const visit = (value: unknown, path: string, depth: number): void => {
    if (typeof value !== 'object' || value === null) {
      if (fields.length < FIELDS_MAX) fields.push({ path, value: value as Field['value'] });
      else beyond += 1;
    } else if (depth === DEPTH_MAX) {
      beyond += 1;
    } else if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) visit(item, `${path}[${index}]`, depth + 1);
    } else {
      for (const [name, item] of Object.entries(value)) {
        visit(item, path === '' ? name : `${path}.${name}`, depth + 1);
      }
    }
  };
  const object = parsed(text);
  if (object !== undefined) visit(object, '', 0);
  return { fields, beyond };
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
