/** Recorded values as a table for other programs: RFC 4180, a line per time, a column per field. Pure. */
import { csvLine } from '../../ui/csv.ts';
import type { Series, Window } from './series.ts';

export function csvOf(series: ReadonlyMap<string, Series>, window: Window): string {
  const names = [...series.keys()];
  const rows = new Map<number, (number | undefined)[]>();
  for (const [column, one] of [...series.values()].entries()) {
    for (const { at, value } of one.within(window)) {
      const row = rows.get(at) ?? names.map(() => undefined);
      row[column] = value;
      rows.set(at, row);
    }
  }
  const lines = [...rows]
    .sort(([a], [b]) => a - b)
    .map(([at, values]) => [new Date(at).toISOString(), ...values.map((value) => value ?? '')]);
  return [['time', ...names], ...lines].map(csvLine).join('');
}
