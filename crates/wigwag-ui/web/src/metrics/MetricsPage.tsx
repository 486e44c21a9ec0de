/**
 * The page of the broker's numbers: charts of the last minutes, and the list of all metrics. What is shown of them is in
 * the page's address, so that a link shows the same.
 */
import { useState } from 'react';

import { PageHeader } from '../shell/PageHeader.tsx';
import { useSearch } from '../shell/useSearch.ts';
import { useStation } from '../station.ts';
import { Button } from '../ui/Button.tsx';
import { Choice } from '../ui/Choice.tsx';
import { useNow } from '../ui/clock.ts';
import { CopyLine } from '../ui/CopyLine.tsx';
import { saveAs } from '../ui/download.ts';
import { formatAgo, formatCount, formatTime } from '../ui/format.ts';
import { useStore } from '../ui/frame-store.ts';
import { Icon } from '../ui/icons.tsx';
import { csvOf } from './csv.ts';
import { MetricList } from './MetricList.tsx';
import type { MetricsView } from './metrics-store.ts';
import { metricsOf } from './metrics-store.ts';
import { Panel } from './Panel.tsx';
import { NATIVE_PANELS, SYS_PANELS } from './panels.ts';

const RANGES = [
  { value: '1', name: '1 min' },
  { value: '5', name: '5 min' },
  { value: '15', name: '15 min' },
] as const;
type Range = (typeof RANGES)[number]['value'];
const RANGE_DEFAULT: Range = '5';

/** A tree that has not come by then does not come: Mosquitto publishes every ten seconds. */
const PATIENCE_MS = 15_000;

export function MetricsPage() {
  const station = useStation();
  const live = useStore(metricsOf(station));
  const [frozen, setFrozen] = useState<MetricsView>();
  const [search, change] = useSearch();
  const view = frozen ?? live;
  const spanMs = Number(rangeOf(search)) * 60_000;
  const set = (name: string, value: string | undefined): void => {
    change((before) => {
      if (value === undefined || value === '') before.delete(name);
      else before.set(name, value);
      return before;
    });
  };
  return (
    <>
      <PageHeader title="Metrics">
        <Summary view={live} />
      </PageHeader>
      {live.problem !== undefined && <Failing view={live} problem={live.problem} />}
      {view.at === undefined ? (
        live.problem === undefined && <Nothing source={live.source} />
      ) : (
        <>
          <div className="flex flex-wrap items-end gap-x-4 gap-y-2">
            <Choice
              label="Time shown"
              value={rangeOf(search)}
              options={RANGES}
              onChange={(range) => {
                set('range', range === RANGE_DEFAULT ? undefined : range);
              }}
            />
            <div className="flex gap-2 py-0.5">
              <Button
                icon={frozen === undefined ? 'pause' : 'play'}
                pressed={frozen !== undefined}
                onClick={() => {
                  setFrozen(frozen === undefined ? live : undefined);
                }}
              >
                {frozen?.at === undefined ? (
                  'Pause'
                ) : (
                  <span className="nums">Paused at {formatTime(frozen.at)}</span>
                )}
              </Button>
              <Button
                icon="down"
                onClick={() => {
                  saveAs(new Blob([csvOf(view.recording)], { type: 'text/csv' }), fileName(view.at));
                }}
              >
                CSV
              </Button>
            </div>
          </div>
          <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,24rem),1fr))] gap-4">
            {(view.source === 'metrics' ? NATIVE_PANELS : SYS_PANELS).map((spec) => (
              <Panel
                key={spec.title}
                spec={spec}
                recording={view.recording}
                spanMs={spanMs}
                isStale={live.problem !== undefined}
              />
            ))}
          </div>
          <Bounds view={view} />
          <MetricList
            families={view.families}
            recording={view.recording}
            spanMs={spanMs}
            text={search.get('q') ?? ''}
            onText={(text) => {
              set('q', text);
            }}
            open={search.get('metric') ?? undefined}
            onOpen={(name) => {
              set('metric', name);
            }}
          />
        </>
      )}
    </>
  );
}

function rangeOf(search: URLSearchParams): Range {
  return RANGES.find(({ value }) => value === search.get('range'))?.value ?? RANGE_DEFAULT;
}

function fileName(at: number | undefined): string {
  return `metrics-${new Date(at ?? Date.now()).toISOString().slice(0, 19)}.csv`;
}

function Summary({ view }: { view: MetricsView }) {
  const now = useNow();
  if (view.at === undefined) return null;
  const from = view.source === 'metrics' ? '/metrics' : '$SYS';
  return (
    <p className="nums text-ink-soft">
      From <code className="font-mono text-xs">{from}</code> · {formatAgo(now - view.at)}
    </p>
  );
}

function Failing({ view, problem }: { view: MetricsView; problem: string }) {
  return (
    <section
      aria-label="Problem with the metrics"
      className="flex gap-3 rounded-card bg-warn-soft px-4 py-3 text-warn"
    >
      <Icon name="warning" className="mt-0.5" />
      <div className="min-w-0 wrap-anywhere">
        <p className="font-semibold">There are no metrics: {problem}</p>
        <p className="nums text-ink">
          {view.at === undefined
            ? 'The page goes on asking.'
            : `What you see is stale since ${formatTime(view.at)}. The page goes on asking.`}
        </p>
      </div>
    </section>
  );
}

/** Nothing has come so far. */
function Nothing({ source }: { source: MetricsView['source'] }) {
  const { connection } = useStation();
  const { status } = useStore(connection);
  const now = useNow();
  const isOverdue = source === 'sys' && status.phase === 'connected' && now - status.since > PATIENCE_MS;
  if (!isOverdue) {
    return (
      <div className="rounded-card border border-dashed border-line-strong px-6 py-16 text-center text-ink-soft">
        {source === 'sys'
          ? 'Numbers appear here as soon as the broker publishes them below $SYS, which most do every ten seconds.'
          : 'Numbers appear here in a moment.'}
      </div>
    );
  }
  return (
    <section className="mx-auto flex w-full max-w-3xl flex-col items-center gap-4 rounded-card border border-line bg-surface px-5 py-12 text-center shadow-card">
      <h2 className="text-lg font-semibold tracking-tight">The broker says nothing of itself</h2>
      <p className="max-w-prose text-ink-soft">
        This page shows the numbers that a broker publishes below{' '}
        <code className="font-mono text-xs">$SYS</code>. Either it publishes none, as with{' '}
        <code className="font-mono text-xs">sys_interval 0</code>, or its access rules keep them from this
        page. In an ACL file of Mosquitto or Wigwag, this line lets everybody read them:
      </p>
      <CopyLine text="topic read $SYS/#" label="Copy the line" />
    </section>
  );
}

function Bounds({ view }: { view: MetricsView }) {
  const parts = [
    view.beyond > 0 && `${formatCount(view.beyond)} samples are not shown: this page keeps 2,000.`,
    view.unreadable > 0 && `${formatCount(view.unreadable)} lines could not be read.`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? null : <p className="nums text-ink-soft">{parts.join(' ')}</p>;
}
