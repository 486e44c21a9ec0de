/** How Prometheus is asked for one metric: a line to start from, as its kind wants it. */
import type { Family } from './exposition.ts';
import { exportedName } from './sys-tree.ts';

const RANGE = '[5m]';

/** Nothing for a topic that exporters do not know. */
export function promqlOf({ name, kind, samples }: Family): string | undefined {
  const metric = name.startsWith('$') ? exportedName(name) : name;
  if (metric === undefined) return undefined;
  const labels = [...new Set(samples.flatMap((sample) => Object.keys(sample.labels)))];
  switch (kind) {
    case 'counter':
      return labels.length === 0
        ? `rate(${metric}${RANGE})`
        : `sum by (${labels.join(', ')}) (rate(${metric}${RANGE}))`;
    case 'histogram':
      return `histogram_quantile(0.99, sum by (le) (rate(${metric}_bucket${RANGE})))`;
    case 'gauge':
    case 'summary':
    case 'untyped':
      return metric;
  }
}

/** Every word of the text is somewhere in name or help. */
export function fits({ name, help }: Family, text: string): boolean {
  const inside = `${name} ${help}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => inside.includes(word));
}
