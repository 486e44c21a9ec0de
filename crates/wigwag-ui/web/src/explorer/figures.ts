/** Figures of the Explorer as text. */
import { formatCount } from '../ui/format.ts';

/** Messages per second: one decimal place while it says something. */
export function formatRate(rate: number): string {
  return `${rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate))}/s`;
}

/** The first line for a terminal that shows what the branch shows. The shell takes nothing between the quotes. */
export function subscribeLine(url: string, filter: string): string {
  const host = URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : 'localhost';
  return `mosquitto_sub -h ${quoted(host)} -v -t ${quoted(filter)}`;
}

function quoted(text: string): string {
  return /^[\w./:@%-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
