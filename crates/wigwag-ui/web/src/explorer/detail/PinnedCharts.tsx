/** A chart for each number that is followed, whichever topic is being looked at. */
import { useEffect, useState } from 'react';

import type { Message } from '../../message/message.ts';
import { formatPath } from '../../message/path.ts';
import { birthTopic } from '../../message/sparkplug.ts';
import { Button } from '../../ui/Button.tsx';
import { Chart } from '../../ui/chart/Chart.tsx';
import { useNow } from '../../ui/clock.ts';
import { formatCount } from '../../ui/format.ts';
import { useStore } from '../../ui/frame-store.ts';
import { SelectField } from '../../ui/SelectField.tsx';
import { useTopic } from '../useTopic.ts';
import { usePins } from './detail-state.ts';
import type { Pin } from './pins.ts';
import { POINTS_MAX } from './pins.ts';

const RANGES = [
  { value: 'all', name: 'All', ms: Infinity },
  { value: '1m', name: 'Last minute', ms: 60_000 },
  { value: '5m', name: 'Last 5 minutes', ms: 300_000 },
  { value: '15m', name: 'Last 15 minutes', ms: 900_000 },
  { value: '1h', name: 'Last hour', ms: 3_600_000 },
] as const;

type Range = (typeof RANGES)[number];

/** A chart of one moment still needs a width. */
const SPAN_MIN_MS = 10_000;

export default function PinnedCharts() {
  const pinned = useStore(usePins());
  const [range, setRange] = useState<Range>(RANGES[0]);
  return (
    <section
      aria-labelledby="charts-title"
      className="rounded-card border border-line bg-surface shadow-card"
    >
      <header className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2">
        <h2 id="charts-title" className="text-base font-semibold tracking-tight">
          Charts
        </h2>
        <SelectField
          isInline
          label="Show"
          value={range.value}
          options={RANGES}
          onChange={(value) => {
            setRange(RANGES.find((one) => one.value === value) ?? RANGES[0]);
          }}
        />
      </header>
      {pinned.map((pin) => (
        <PinnedChart key={pin.id} pin={pin} rangeMs={range.ms} />
      ))}
    </section>
  );
}

function PinnedChart({ pin, rangeMs }: { pin: Pin; rangeMs: number }) {
  const { id, topic, path, times, values, missed } = pin;
  const pins = usePins();
  const now = useNow();
  const view = useTopic(topic);
  const birth = useBirth(topic);
  const [pointed, setPointed] = useState<number>();
  useEffect(() => {
    pins.feed(id, view, birth);
  }, [pins, id, view, birth]);
  const name = formatPath(path);
  const to = Math.max(now, times.at(-1) ?? now);
  const from = Math.min(rangeMs === Infinity ? (times[0] ?? to) : to - rangeMs, to - SPAN_MIN_MS);
  const value = values[pointed ?? values.length - 1];
  return (
    <article aria-label={`${name} of ${topic}`} className="border-b border-line px-4 py-3 last:border-b-0">
      <header className="flex items-center gap-3">
        <h3 className="min-w-0 grow font-mono text-xs wrap-anywhere">
          {topic} <span className="text-ink-soft">{name}</span>
        </h3>
        <p className="nums font-medium">{value === undefined ? '–' : formatNumber(value)}</p>
        <Button
          look="ghost"
          icon="close"
          label={`Close the chart of ${name} of ${topic}`}
          onClick={() => {
            pins.remove(id);
          }}
        >
          <span className="max-sm:hidden">Close</span>
        </Button>
      </header>
      {times.length === 0 ? (
        <p className="py-2 text-ink-soft">No number has come yet.</p>
      ) : (
        <Chart
          label={`${name} of ${topic}, ${times.length} points, last ${formatNumber(values.at(-1) ?? 0)}`}
          times={times}
          lines={[{ name, values }]}
          from={from}
          to={to}
          isFromZero={false}
          format={formatNumber}
          sync="explorer"
          onPoint={setPointed}
        />
      )}
      {(missed > 0 || times.length === POINTS_MAX) && (
        <p className="nums text-xs text-ink-soft">
          {times.length === POINTS_MAX && `The last ${formatCount(POINTS_MAX)} points. `}
          {missed > 0 && `${formatCount(missed)} messages came and went unseen.`}
        </p>
      )}
    </article>
  );
}

function useBirth(topic: string): Message | undefined {
  const name = birthTopic(topic);
  const view = useTopic(name ?? topic);
  return name === undefined ? undefined : view.history.at(-1);
}

const plain = new Intl.NumberFormat('en', { maximumSignificantDigits: 6, useGrouping: false });

function formatNumber(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && (size >= 1e7 || size < 1e-4) ? value.toExponential(2) : plain.format(value);
}
