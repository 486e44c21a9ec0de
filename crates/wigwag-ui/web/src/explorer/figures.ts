/** Figures of the Explorer as text. */
import { formatCount } from '../ui/format.ts';

/** Messages per second: one decimal place while it says something. */
export function formatRate(rate: number): string {
  return `${rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate))}/s`;
}
