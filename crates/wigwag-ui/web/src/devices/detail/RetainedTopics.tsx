/** What the broker keeps of the device for those who come later, as of the last look. */
import { useEffect, useMemo } from 'react';

import { useStation } from '../../station.ts';
import { Button } from '../../ui/Button.tsx';
import { useNow } from '../../ui/clock.ts';
import { formatBytes, formatCount, formatTime } from '../../ui/format.ts';
import { useStore, useStoreValue } from '../../ui/frame-store.ts';
import type { Device } from '../model.ts';
import { filtersOf } from '../model.ts';
import { RetainedLookup } from './retained-lookup.ts';
import type { RetainedView } from './retained-lookup.ts';

export function RetainedTopics({ device }: { device: Device }) {
  const station = useStation();
  // As one text, which is the same as long as it says the same.
  const filters = retainedFilters(device).join('\n');
  const lookup = useMemo(
    () => new RetainedLookup(filters.split('\n'), (filter, handle) => station.watch(filter, handle)),
    [station, filters],
  );
  const view = useStore(lookup);
  const connectedSince = useStoreValue(station.connection, ({ status }) =>
    status.phase === 'connected' ? status.since : undefined,
  );
  const isConnected = connectedSince !== undefined;
  useEffect(() => {
    if (isConnected) lookup.look();
    return () => {
      lookup.stop();
    };
  }, [lookup, isConnected]);
  return (
    <section
      aria-labelledby="retained-title"
      className="flex min-w-0 flex-col gap-3 rounded-card border border-line bg-surface p-4 shadow-card"
    >
      <header className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <h2 id="retained-title" className="text-base font-semibold tracking-tight">
          Retained topics
        </h2>
        <Button
          look="ghost"
          icon={view.isLooking ? 'spinner' : 'retry'}
          className="ml-auto"
          disabled={!isConnected || view.isLooking}
          onClick={() => {
            lookup.look();
          }}
        >
          Look again
        </Button>
      </header>
      <Topics view={view} place={placeOf(device)} />
    </section>
  );
}

function Topics({ view, place }: { view: RetainedView; place: string }) {
  const now = useNow();
  const { topics, beyond, isLooking, at } = view;
  if (at === undefined) return <p className="text-ink-soft">Not looked yet: there is no connection.</p>;
  return (
    <>
      <ul className="flex max-h-96 flex-col overflow-y-auto" tabIndex={0} aria-label="Retained topics">
        {topics.map(({ topic, text, bytes }) => (
          <li key={topic} data-topic={topic} className="border-t border-line py-2 first:border-t-0">
            <p className="flex items-baseline gap-3 font-mono text-xs">
              <span className="min-w-0 grow wrap-anywhere">{topic}</span>
              <span className="nums shrink-0 text-ink-faint">{formatBytes(bytes)}</span>
            </p>
            <p className="truncate font-mono text-xs text-ink-soft" title={text}>
              {text}
            </p>
          </li>
        ))}
      </ul>
      <p className="nums text-xs text-ink-faint">
        {topics.length === 0 && !isLooking && `Nothing is retained ${place}. `}
        {beyond > 0 && `${formatCount(beyond)} more are not shown. `}
        {isLooking ? 'Looking…' : `As of ${formatTime(at, now)}.`}
      </p>
    </>
  );
}

/** More would keep the broker busy for little. */
const FILTERS_MAX = 100;

function retainedFilters(device: Device): string[] {
  const all = filtersOf(device, 'all');
  const filters = all.length > 0 ? all : filtersOf(device, 'config', 'state', 'availability', 'command');
  return [...new Set(filters)].slice(0, FILTERS_MAX);
}

function placeOf(device: Device): string {
  const [all] = filtersOf(device, 'all');
  return all === undefined ? 'at the topics of this device' : `below ${all.replace(/\/#$/, '')}`;
}
