/** Spans of time: what of a span is not covered by others. Pure. */
import type { Window } from './series.ts';

/** The parts of `wanted` that none of `known` covers, the latest first. */
export function missing(wanted: Window, known: readonly Window[]): Window[] {
  const parts: Window[] = [];
  let { to } = wanted;
  for (const one of [...known].sort((a, b) => b.to - a.to)) {
    if (one.to <= wanted.from || to <= wanted.from) break;
    if (one.to < to) parts.push({ from: Math.max(one.to, wanted.from), to });
    to = Math.min(to, one.from);
  }
  if (to > wanted.from) parts.push({ from: wanted.from, to });
  return parts;
}

/** The same time in as few spans as it takes, the earliest first. */
export function joined(spans: readonly Window[]): Window[] {
  const all: Window[] = [];
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (to <= from) continue;
    if (last === undefined || from > last.to) all.push({ from, to });
    else last.to = Math.max(last.to, to);
  }
  return all;
}
