/** One number of a device over time, with its smallest, mean and largest value, and a picture of it to save. */
import { useMemo, useRef, useState } from 'react';

import { Button } from '../../ui/Button.tsx';
import { Chart } from '../../ui/chart/Chart.tsx';
import { saveAs } from '../../ui/download.ts';
import { formatTime } from '../../ui/format.ts';
import type { Device } from '../model.ts';
import { titleOf } from '../model.ts';
import { fileNameOf } from './file-name.ts';
import { pictureOf } from './picture.ts';
import type { Series, Window } from './series.ts';
import { formatValue } from './values.ts';

interface Props {
  device: Device;
  fieldKey: string;
  label: string;
  unit: string | undefined;
  series: Series;
  /** Of the series, which changes in place. */
  version: number;
  window: Window;
}

export function FieldChart({ device, fieldKey, label, unit, series, version, window }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<number>();
  const { from, to } = window;
  const silenceMs = device.silenceMs ?? Infinity;
  const { points, sums, last } = useMemo(
    () => read(series, version, { from, to }, silenceMs),
    [series, version, from, to, silenceMs],
  );
  const lines = useMemo(() => [{ name: label, values: points.values }], [label, points]);
  const write = (value: number): string => formatValue(value) + (unit === undefined ? '' : ` ${unit}`);
  const text =
    sums === undefined
      ? 'No values in this time'
      : `Lowest ${write(round(sums.low))} · mean ${write(round(sums.mean))} · highest ${write(round(sums.high))}`;
  return (
    <figure className="flex min-w-0 flex-col gap-1" data-chart={fieldKey}>
      <figcaption className="flex items-start gap-2">
        <div className="min-w-0 grow">
          <h3 className="truncate font-medium" title={label}>
            {label}
            {last !== undefined && <span className="nums ml-2 text-ink-soft">{write(round(last))}</span>}
          </h3>
          <p className="nums text-xs text-ink-soft">{pointText(points, pointed, write) ?? text}</p>
        </div>
        <Button
          look="ghost"
          icon="down"
          label={`PNG of ${label}`}
          onClick={() => {
            const canvas = frame.current?.querySelector('canvas');
            if (canvas == null) return;
            void pictureOf(canvas, `${titleOf(device)}: ${label}. ${text}`).then((picture) => {
              saveAs(picture, `${fileNameOf(device)}-${fieldKey.replaceAll('/', '-')}.png`);
            });
          }}
        >
          PNG
        </Button>
      </figcaption>
      <div ref={frame} className="min-w-0">
        <Chart
          label={`${label} over time. ${text}`}
          times={points.times}
          lines={lines}
          from={from}
          to={to}
          format={formatValue}
          isFromZero={false}
          sync="device"
          onPoint={setPointed}
        />
      </div>
    </figure>
  );
}

function pointText(
  points: { times: readonly number[]; values: readonly (number | null)[] },
  index: number | undefined,
  write: (value: number) => string,
): string | undefined {
  if (index === undefined) return undefined;
  const at = points.times[index];
  const value = points.values[index];
  return at === undefined || value == null ? undefined : `${formatTime(at)} · ${write(value)}`;
}

/** Means have digits that nobody measured. */
function round(value: number): number {
  return Number(value.toPrecision(5));
}

/** What is drawn and said of a series as it is in this version. */
function read(series: Series, _version: number, window: Window, silenceMs: number) {
  return {
    points: series.window(window, silenceMs),
    sums: series.summary(window),
    last: series.last,
  };
}
