/** A recording as a table for spreadsheets: a row per moment, a column per sample. */
import type { Recording } from './recording.ts';

export function csvOf({ times, columns }: Recording): string {
  const names = [...columns.keys()].sort();
  const header = ['time', ...names].map(quoted).join(',');
  const rows = times.map((at, row) => {
    const values = names.map((name) => {
      const value = columns.get(name)?.values[row] ?? NaN;
      return Number.isNaN(value) ? '' : String(value);
    });
    return [new Date(at).toISOString(), ...values].join(',');
  });
  return [header, ...rows, ''].join('\r\n');
}

function quoted(text: string): string {
  // What begins like this, a spreadsheet would take for a formula; topics may.
  const harmless = /^[=+\-@\t]/.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}
