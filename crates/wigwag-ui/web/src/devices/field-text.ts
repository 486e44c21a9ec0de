/** Values as people read them: with as many digits as are worth it, and bounded, because they are strangers' values. Pure. */
import { formatTemperature } from '../ui/format.ts';
import { formatValue } from './detail/values.ts';
import type { Field, FieldValue } from './model.ts';

const TEXT_CHARS_MAX = 160;

/** Without the unit. */
export function textOf({ value, unit, words }: Pick<Field, 'value' | 'unit' | 'words'>): string {
  if (value === undefined || value === null) return '–';
  if (typeof value === 'number') return numberText(value, unit);
  if (typeof value === 'boolean' && words !== undefined) return value ? words.on : words.off;
  const text = String(value);
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 1)}…`;
}

/** In a line of its own: “21.5 °C”. */
export function textWithUnit(field: Pick<Field, 'value' | 'unit' | 'words'>): string {
  return field.unit === undefined || field.value === undefined || field.value === null
    ? textOf(field)
    : `${textOf(field)} ${field.unit}`;
}

export function numberText(value: number, unit: string | undefined): string {
  return isDegrees(unit) ? formatTemperature(value) : formatValue(value);
}

/** Differences below this are noise, and must not look like a storm. */
export function noiseOf(value: FieldValue, unit: string | undefined): number {
  if (isDegrees(unit)) return 2;
  return typeof value === 'number' && Number.isFinite(value) ? Math.abs(value) / 50 : 0;
}

function isDegrees(unit: string | undefined): boolean {
  return unit === '°C' || unit === '°F';
}
