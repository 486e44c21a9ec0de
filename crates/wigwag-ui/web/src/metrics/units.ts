/** Values of charts and lists as text: short, with prefixes, and never more digits than mean something. */
import { formatTime } from '../ui/format.ts';

export type Unit = 'count' | 'per-second' | 'bytes' | 'bytes-per-second' | 'seconds' | 'cores' | 'timestamp';

const DECIMAL = ['', 'k', 'M', 'G', 'T'];
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function formatValue(value: number | null, unit: Unit): string {
  if (value === null || Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  switch (unit) {
    case 'count':
      return prefixed(value, 1_000, DECIMAL);
    case 'per-second':
      return `${prefixed(value, 1_000, DECIMAL)}/s`;
    case 'bytes':
      return prefixed(value, 1_024, BINARY);
    case 'bytes-per-second':
      return `${prefixed(value, 1_024, BINARY)}/s`;
    case 'seconds':
      return duration(value);
    case 'timestamp':
      // Always with its date: “today” is over at some time.
      return formatTime(value * 1_000, Infinity);
    case 'cores':
      return `${digits(value * 100)} %`;
  }
}

function prefixed(value: number, step: number, prefixes: readonly string[]): string {
  let [scaled, index] = [value, 0];
  while (Math.abs(scaled) >= step * 0.9995 && index < prefixes.length - 1) {
    scaled /= step;
    index += 1;
  }
  const text = Math.abs(scaled) >= step ? scaled.toExponential(1) : digits(scaled);
  return `${text} ${prefixes[index] ?? ''}`.trimEnd();
}

/** Three digits that count, at most two of them behind the point. */
function digits(value: number): string {
  const size = Math.abs(value);
  const behind = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  const text = value.toFixed(behind);
  // A very small rate is not none.
  if (Number(text) === 0 && value !== 0) return value > 0 ? '<0.01' : '>−0.01';
  return (behind === 0 ? text : text.replace(/\.?0+$/, '')).replace('-', '−');
}

function duration(secs: number): string {
  const size = Math.abs(secs);
  if (size === 0) return '0 s';
  if (size < 1e-3) return `${digits(secs * 1e6)} µs`;
  if (size < 1) return `${digits(secs * 1e3)} ms`;
  return `${digits(secs)} s`;
}

/** What a name says of itself. */
export function unitOf(name: string, isRate: boolean): Unit {
  if (/(?:_timestamp_seconds|_time_seconds)$/.test(name)) return 'timestamp';
  if (/bytes|\/heap\//.test(name) && !name.includes('/load/')) return isRate ? 'bytes-per-second' : 'bytes';
  if (name.includes('cpu_seconds') && isRate) return 'cores';
  if (/_seconds(?:_total)?$/.test(name)) return 'seconds';
  return isRate ? 'per-second' : 'count';
}
