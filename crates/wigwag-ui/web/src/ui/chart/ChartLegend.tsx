/** The names and values of a chart's lines, as text: the lines look the same here as in the chart. */
import { lineColour, lineDash } from './colours.ts';

export interface LegendEntry {
  name: string;
  value: string;
}

export function ChartLegend({ entries }: { entries: readonly LegendEntry[] }) {
  return (
    <dl className="nums flex flex-wrap gap-x-4 gap-y-1 text-xs">
      {entries.map(({ name, value }, index) => (
        <div key={name} className="flex min-w-0 items-center gap-1.5">
          <dt className="flex min-w-0 items-center gap-1.5 text-ink-soft">
            <svg aria-hidden="true" viewBox="0 0 18 4" className="h-1 w-4.5 shrink-0">
              <path
                d="M0 2h18"
                fill="none"
                strokeWidth="2.5"
                stroke={lineColour(index)}
                strokeDasharray={lineDash(index).join(' ')}
              />
            </svg>
            <span className="wrap-anywhere">{name}</span>
          </dt>
          <dd className="font-medium whitespace-nowrap">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
