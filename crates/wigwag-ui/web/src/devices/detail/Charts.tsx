/**
 * A chart per number that the device sends, over the same time. The window moves with the clock until it is paused; what
 * comes meanwhile is recorded all the same.
 */
import { useState } from 'react';

import { useSearch } from '../../shell/useSearch.ts';
import { useStation } from '../../station.ts';
import { Button } from '../../ui/Button.tsx';
import { Choice } from '../../ui/Choice.tsx';
import { useNow } from '../../ui/clock.ts';
import { saveAs } from '../../ui/download.ts';
import { formatTime } from '../../ui/format.ts';
import { useStore } from '../../ui/frame-store.ts';
import { csvOf } from './csv.ts';
import type { Device } from '../model.ts';
import { fieldOf } from '../model.ts';
import type { DeviceRecord } from './device-record.ts';
import { FieldChart } from './FieldChart.tsx';
import { fileNameOf } from './file-name.ts';
import { PastNote } from './PastNote.tsx';
import { pastOf, useReading } from './past-of.ts';
import { reachOf, readRange, RANGES, windowOf } from './ranges.ts';

export function Charts({ device, record }: { device: Device; record: DeviceRecord }) {
  const station = useStation();
  const series = useStore(record);
  const now = useNow();
  const [search, change] = useSearch();
  const [pausedAt, setPausedAt] = useState<number>();
  const range = readRange(search.get('range'));
  const window = windowOf(range, pausedAt ?? now, series.values());
  const past = pastOf(station, device, record);
  useReading(past, station, record, reachOf(range, pausedAt ?? now));
  return (
    <section
      aria-labelledby="charts-title"
      className="flex min-w-0 flex-col gap-4 rounded-card border border-line bg-surface p-4 shadow-card"
    >
      <header className="flex flex-wrap items-end gap-x-4 gap-y-2">
        <h2 id="charts-title" className="self-start text-base font-semibold tracking-tight">
          Charts
        </h2>
        <Choice
          label="Time shown"
          value={range}
          options={RANGES}
          onChange={(value) => {
            change((before) => {
              before.set('range', value);
              return before;
            });
          }}
        />
        <div className="ml-auto flex flex-wrap gap-2">
          <Button
            icon={pausedAt === undefined ? 'pause' : 'play'}
            pressed={pausedAt !== undefined}
            onClick={() => {
              setPausedAt(pausedAt === undefined ? now : undefined);
            }}
          >
            {pausedAt === undefined ? 'Pause' : 'Resume'}
          </Button>
          <Button
            icon="down"
            disabled={series.size === 0}
            onClick={() => {
              saveAs(new Blob([csvOf(series, window)], { type: 'text/csv' }), `${fileNameOf(device)}.csv`);
            }}
          >
            CSV
          </Button>
        </div>
      </header>
      {series.size === 0 ? (
        <p className="py-8 text-center text-ink-soft">This device has told no numbers yet.</p>
      ) : (
        <div className="grid gap-x-6 gap-y-5 [grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))]">
          {[...series].map(([key, one]) => (
            <FieldChart
              key={key}
              device={device}
              label={fieldOf(device, key)?.label ?? key}
              unit={fieldOf(device, key)?.unit}
              fieldKey={key}
              series={one}
              version={one.version}
              window={window}
            />
          ))}
        </div>
      )}
      <p className="nums text-xs text-ink-faint">
        {pausedAt !== undefined && `Paused at ${formatTime(pausedAt, now)}. `}
        <PastNote past={past} record={record} now={now} />
      </p>
    </section>
  );
}
