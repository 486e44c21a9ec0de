/** The page at /devices: the devices as cards or as a table, narrowed by search and facets, and the message log. */
import type { ReactNode } from 'react';
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react';

import { MessageLogPanel } from '../log/MessageLogPanel.tsx';
import type { ConnectionView } from '../mqtt/connection.ts';
import { PageHeader } from '../shell/PageHeader.tsx';
import { useSearch } from '../shell/useSearch.ts';
import { useStation } from '../station.ts';
import { useNow } from '../ui/clock.ts';
import { formatCount } from '../ui/format.ts';
import { useStore } from '../ui/frame-store.ts';
import { WhenNear } from '../ui/WhenNear.tsx';
import { RunBar } from './bulk/RunBar.tsx';
import type { Selection } from './bulk/selection.ts';
import { NOTHING, pressed, withAll, without } from './bulk/selection.ts';
import type { CommandsView } from './command-store.ts';
import type { OnCommand } from './Controls.tsx';
import { DeviceCard } from './DeviceCard.tsx';
import type { DeviceList, ListedDevice, ListQuery } from './device-list.ts';
import { listOf, readQuery, writeSort } from './device-list.ts';
import { DeviceTable } from './DeviceTable.tsx';
import { EmptyState } from './EmptyState.tsx';
import type { LinkView } from './health.ts';
import { health } from './health.ts';
import type { ListParameter, View } from './ListControls.tsx';
import { ListControls } from './ListControls.tsx';
import type { OnSelect } from './SelectionBar.tsx';
import { SelectAll, SelectionBar } from './SelectionBar.tsx';

const BulkDialog = lazy(async () => ({ default: (await import('./bulk/BulkDialog.tsx')).BulkDialog }));

/** So many cards may all be in the document; of more, only those near the screen are drawn. */
const DRAWN_ALWAYS_MAX = 24;
/** A place for each card costs too, even when it is empty. */
const CARDS_MAX = 500;
/** So that they do not come all in one long task. */
const PLACES_PER_FRAME = 60;
/** The height of a card, so that the page does not jump while it is scrolled. */
const SLOT_CLASS = 'grid min-h-70 min-w-0';

export function DevicesPage() {
  const station = useStation();
  const link = useStore(station.connection);
  const view = useStore(station.devices);
  const now = useNow();
  const [address, setParameter] = useListAddress();
  const query = useMemo(() => readQuery(address), [address]);
  const list = useMemo(() => listOf(view.devices, query, link, now), [view, query, link, now]);
  const shownAs = address.get('view') === 'table' ? 'table' : 'cards';
  return (
    <>
      <PageHeader title="Devices">
        <Summary list={list} link={link} />
      </PageHeader>
      <div className="flex min-w-0 grow flex-col gap-4 2xl:flex-row 2xl:items-start">
        <section aria-label="Devices" className="flex min-w-0 flex-col gap-4 2xl:grow">
          {view.devices.length === 0 ? (
            <EmptyState link={link} />
          ) : (
            <>
              <ListControls list={list} query={query} view={shownAs} onChange={setParameter} />
              <RunBar />
              <Listed list={list} query={query} shownAs={shownAs} onChange={setParameter} />
            </>
          )}
          {view.overflow > 0 && (
            <p className="nums text-ink-soft">
              {formatCount(view.overflow)} more devices are not shown: this page keeps{' '}
              {formatCount(view.devices.length)}.
            </p>
          )}
        </section>
        <MessageLogPanel log={station.log} />
      </div>
    </>
  );
}

interface ListedProps {
  list: DeviceList;
  query: ListQuery;
  shownAs: View;
  onChange: (parameter: ListParameter, value: string | undefined) => void;
}

function Listed(props: ListedProps) {
  const { list } = props;
  const station = useStation();
  const shown = useMemo(() => list.devices.map(({ device }) => device.id), [list]);
  const { selection, select, selectAll, clear } = useSelection(shown);
  const [bulk, setBulk] = useState<{ about: 'command' | 'tags'; devices: readonly ListedDevice[] }>();
  const isRunning = useStore(station.bulk) !== undefined && station.bulk.isBusy;
  const begin = (about: 'command' | 'tags'): void => {
    const link = station.connection.snapshot();
    const all = station.devices.snapshot().devices;
    const devices = all
      .filter(({ id }) => selection.ids.has(id))
      .map((device) => ({ device, condition: health(device, link, Date.now()) }));
    setBulk({ about, devices });
  };
  return (
    <>
      <SelectionBar
        selection={selection}
        shown={shown}
        isBlocked={isRunning}
        onSelectAll={selectAll}
        onClear={clear}
        onCommand={() => {
          begin('command');
        }}
        onTags={() => {
          begin('tags');
        }}
      />
      <Devices
        {...props}
        selected={selection.ids}
        onSelect={select}
        selectAll={<SelectAll selection={selection} shown={shown} onSelectAll={selectAll} />}
      />
      {bulk !== undefined && (
        <Suspense fallback={null}>
          <BulkDialog
            {...bulk}
            onClose={() => {
              setBulk(undefined);
            }}
          />
        </Suspense>
      )}
    </>
  );
}

/** Handlers that stay the same, so that a device is not drawn again because another one was selected. */
function useSelection(shown: readonly string[]) {
  const [selection, setSelection] = useState<Selection>(NOTHING);
  const latest = useRef(shown);
  useEffect(() => {
    latest.current = shown;
  }, [shown]);
  const select: OnSelect = useCallback((id, isRange) => {
    setSelection((before) => pressed(before, id, isRange, latest.current));
  }, []);
  const selectAll = useCallback((isOn: boolean) => {
    setSelection((before) => (isOn ? withAll(before, latest.current) : without(before, latest.current)));
  }, []);
  const clear = useCallback(() => {
    setSelection(NOTHING);
  }, []);
  return { selection, select, selectAll, clear };
}

interface DevicesProps extends ListedProps {
  selected: ReadonlySet<string>;
  onSelect: OnSelect;
  selectAll: ReactNode;
}

function Devices({ list, query, shownAs, onChange, selected, onSelect, selectAll }: DevicesProps) {
  const station = useStation();
  const link = useStore(station.connection);
  const commands = useStore(station.commands);
  const now = useNow();
  const send: OnCommand = useCallback(
    (device, control, value) => {
      station.commands.send(device, control, value);
    },
    [station],
  );
  if (list.devices.length === 0) return <p className="py-8 text-ink-soft">No device is like that.</p>;
  if (shownAs === 'table') {
    return (
      <DeviceTable
        // Another list begins at its top.
        key={[query.text, query.health, query.status, query.source, query.tag].join('/')}
        devices={list.devices}
        valueLabel={list.valueLabel}
        sort={query.sort}
        link={link}
        commands={commands}
        now={now}
        onSort={(sort) => {
          onChange('sort', writeSort(sort));
        }}
        selected={selected}
        onCommand={send}
        onSelect={onSelect}
        selectAll={selectAll}
      />
    );
  }
  return <Cards {...{ list, link, commands, selected, onSelect }} onCommand={send} />;
}

interface CardsProps extends Pick<DevicesProps, 'list' | 'selected' | 'onSelect'> {
  link: ConnectionView;
  commands: CommandsView;
  onCommand: OnCommand;
}

function Cards({ list, link, commands, selected, onCommand, onSelect }: CardsProps) {
  const places = useGrowing(Math.min(CARDS_MAX, list.devices.length), PLACES_PER_FRAME);
  const beyond = list.devices.length - CARDS_MAX;
  return (
    <>
      <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,17.5rem),1fr))] gap-4">
        {list.devices.slice(0, places).map(({ device }) => (
          <WhenNear key={device.id} always={list.devices.length <= DRAWN_ALWAYS_MAX} className={SLOT_CLASS}>
            <DeviceCard
              device={device}
              link={link}
              command={commands.get(device.id)}
              onCommand={onCommand}
              isSelected={selected.has(device.id)}
              onSelect={onSelect}
            />
          </WhenNear>
        ))}
      </div>
      {beyond > 0 && (
        <p className="nums text-ink-soft">
          {formatCount(beyond)} more have no card here: narrow the search, or look at the table.
        </p>
      )}
    </>
  );
}

/** So many at first, and with each frame so many more, up to `max`. */
function useGrowing(max: number, step: number): number {
  const [count, setCount] = useState(step);
  useEffect(() => {
    if (count >= max) return;
    const frame = requestAnimationFrame(() => {
      setCount(count + step);
    });
    return () => {
      cancelAnimationFrame(frame);
    };
  }, [count, max, step]);
  return Math.min(count, max);
}

/** What is looked at is in the address, but the field that is typed in must not wait for the router. */
function useListAddress() {
  const [address, change] = useSearch();
  const [text, setText] = useState(address.get('q') ?? '');
  const current = useMemo(() => {
    const search = new URLSearchParams(address);
    search.set('q', text);
    return search;
  }, [address, text]);
  const setParameter = useCallback(
    (name: string, value: string | undefined) => {
      if (name === 'q') setText(value ?? '');
      change((before) => {
        if (value === undefined) before.delete(name);
        else before.set(name, value);
        return before;
      });
    },
    [change],
  );
  return [current, setParameter] as const;
}

function Summary({ list, link }: { list: DeviceList; link: LinkView }) {
  const { found, online, running } = list.totals;
  if (found === 0) return null;
  const parts = [`${formatCount(found)} found`];
  // What was online and running before the connection broke is anyone's guess.
  if (link.status.phase === 'connected') {
    parts.push(`${formatCount(online)} online`, `${formatCount(running)} running`);
  }
  return <p className="nums text-ink-soft">{parts.join(' · ')}</p>;
}
