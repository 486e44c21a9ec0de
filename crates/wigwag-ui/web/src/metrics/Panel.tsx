/** One chart with its title, its lines' names and values, and how Prometheus is asked for the same. */
import { memo, useId, useMemo, useState } from 'react';

import { Chart } from '../ui/chart/Chart.tsx';
import { ChartLegend } from '../ui/chart/ChartLegend.tsx';
import { CopyLine } from '../ui/CopyLine.tsx';
import { classNames } from '../ui/class-names.ts';
import { formatTime } from '../ui/format.ts';
import type { PanelSpec } from './panels.ts';
import { isBlank, isTold, linesOf } from './panels.ts';
import type { Recording } from './recording.ts';
import { formatValue } from './units.ts';

interface Props {
  spec: PanelSpec;
  recording: Recording;
  /** How much of the recording is shown, up to its last moment. */
  spanMs: number;
  isStale: boolean;
}

export const Panel = memo(function Panel({ spec, recording, spanMs, isStale }: Props) {
  const [isAsking, setIsAsking] = useState(false);
  const id = useId();
  const lines = useMemo(() => linesOf(spec, recording), [spec, recording]);
  return (
    <section
      aria-labelledby={id}
      className="flex min-w-0 flex-col gap-2 rounded-card border border-line bg-surface p-4 shadow-card"
    >
      <header className="flex items-start gap-2">
        <div className="min-w-0 grow">
          <h2 id={id} className="font-semibold">
            {spec.title}
          </h2>
          <p className="text-xs text-ink-soft">{spec.about}</p>
        </div>
        <button
          type="button"
          aria-expanded={isAsking}
          aria-label={`PromQL of ${spec.title}`}
          onClick={() => {
            setIsAsking(!isAsking);
          }}
          className="-my-1 min-h-11 shrink-0 rounded-lg px-2 text-xs font-medium text-ink-soft hover:bg-sunken hover:text-ink md:min-h-8 pointer-coarse:min-h-11"
        >
          PromQL
        </button>
      </header>
      {isAsking && spec.promql.map((query) => <CopyLine key={query} text={query} label={`Copy ${query}`} />)}
      <Drawing
        lines={lines}
        spec={spec}
        recording={recording}
        spanMs={spanMs}
        className={classNames(isStale && 'opacity-50')}
      />
    </section>
  );
});

interface DrawingProps extends Pick<Props, 'recording' | 'spanMs'> {
  lines: ReturnType<typeof linesOf>;
  spec: Pick<PanelSpec, 'title' | 'unit' | 'lines'>;
  className?: string;
}

/** Also of a single metric in the list. */
export function Drawing({ lines, spec, recording, spanMs, className }: DrawingProps) {
  const [point, setPoint] = useState<number>();
  const { times } = recording;
  const to = times.at(-1);
  if (to === undefined || isBlank(lines)) {
    return <p className="grid h-44 place-items-center text-ink-soft">{whyBlank(spec, recording)}</p>;
  }
  const entries = lines.map(({ name, values }) => ({
    name,
    value: formatValue((point === undefined ? values.at(-1) : values[point]) ?? null, spec.unit),
  }));
  const now = lines.map(({ name, values }) => `${name} ${formatValue(values.at(-1) ?? null, spec.unit)}`);
  return (
    <div className={classNames('flex min-w-0 flex-col gap-2', className)}>
      <div className="flex min-h-5 justify-between gap-3">
        <ChartLegend entries={entries} />
        <span aria-hidden="true" className="nums shrink-0 text-xs text-ink-faint">
          {point !== undefined && times[point] !== undefined && formatTime(times[point])}
        </span>
      </div>
      <Chart
        label={`${spec.title}: ${now.join(', ')}`}
        times={times}
        lines={lines}
        from={beginning(times, to, spanMs)}
        to={to}
        isBinary={spec.unit.startsWith('bytes')}
        format={(value) => formatValue(value, spec.unit)}
        sync="metrics"
        onPoint={setPoint}
      />
    </div>
  );
}

function whyBlank(spec: Pick<PanelSpec, 'lines'>, recording: Recording): string {
  if (recording.times.length < 2) return 'Waiting for numbers…';
  return isTold(spec, recording) ? 'Nothing was measured in this time.' : 'This broker does not tell.';
}

/** A recording that has just begun need not hide in a corner. */
const SPAN_MIN_MS = 60_000;

function beginning(times: readonly number[], to: number, spanMs: number): number {
  const first = times[0] ?? to;
  return Math.max(to - spanMs, Math.min(first, to - SPAN_MIN_MS));
}
