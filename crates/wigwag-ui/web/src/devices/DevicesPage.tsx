/** The page at /devices: the devices as cards or as a table, narrowed by search and facets, and the message log. */
import { useCallback, useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';

import { MessageLogPanel } from '../log/MessageLogPanel.tsx';
import { PageHeader } from '../shell/PageHeader.tsx';
import { useStation } from '../station.ts';
import { useNow } from '../ui/clock.ts';
import { formatCount } from '../ui/format.ts';
import { useStore } from '../ui/frame-store.ts';
import { WhenNear } from '../ui/WhenNear.tsx';
import type { OnCommand } from './Controls.tsx';
import { DeviceCard } from './DeviceCard.tsx';
import type { DeviceList, ListQuery } from './device-list.ts';
import { listOf, readQuery, writeSort } from './device-list.ts';
import type { DevicesView } from './device-store.ts';
import { DeviceTable } from './DeviceTable.tsx';
import { EmptyState } from './EmptyState.tsx';
import type { LinkView } from './health.ts';
import { health } from './health.ts';
import type { View } from './ListControls.tsx';
import { ListControls } from './ListControls.tsx';

/** So many cards may all be in the document; of more, only those near the screen are drawn. */
const DRAWN_ALWAYS_MAX = 24;
/** A place for each card costs too, even when it is empty. */
const CARDS_MAX = 500;
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
        <Summary view={view} link={link} />
      </PageHeader>
      <div className="flex min-w-0 grow flex-col gap-4 2xl:flex-row 2xl:items-start">
        <section aria-label="Devices" className="flex min-w-0 flex-col gap-4 2xl:grow">
          {view.devices.length === 0 ? (
            <EmptyState link={link} />
          ) : (
            <>
              <ListControls list={list} query={query} view={shownAs} onChange={setParameter} />
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
  onChange: (parameter: 'sort', value: string | undefined) => void;
}

function Listed({ list, query, shownAs, onChange }: ListedProps) {
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
        key={[query.text, query.health, query.status].join('/')}
        devices={list.devices}
        sort={query.sort}
        link={link}
        commands={commands}
        now={now}
        onSort={(sort) => {
          onChange('sort', writeSort(sort));
        }}
        onCommand={send}
      />
    );
  }
  const beyond = list.devices.length - CARDS_MAX;
  return (
    <>
      <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,17.5rem),1fr))] gap-4">
        {list.devices.slice(0, CARDS_MAX).map(({ device }) => (
          <WhenNear key={device.id} always={list.devices.length <= DRAWN_ALWAYS_MAX} className={SLOT_CLASS}>
            <DeviceCard device={device} link={link} command={commands.get(device.id)} onCommand={send} />
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

/** What is looked at is in the address, but the field that is typed in must not wait for the router. */
function useListAddress() {
  const [address, setAddress] = useSearchParams();
  const [text, setText] = useState(address.get('q') ?? '');
  const current = useMemo(() => {
    const search = new URLSearchParams(address);
    search.set('q', text);
    return search;
  }, [address, text]);
  const setParameter = useCallback(
    (name: string, value: string | undefined) => {
      if (name === 'q') setText(value ?? '');
      setAddress(
        (before) => {
          if (value === undefined) before.delete(name);
          else before.set(name, value);
          return before;
        },
        { replace: true },
      );
    },
    [setAddress],
  );
  return [current, setParameter] as const;
}

function Summary({ view, link }: { view: DevicesView; link: LinkView }) {
  const now = useNow();
  if (view.devices.length === 0) return null;
  const found = view.devices.length;
  const running = view.devices.filter((device) => device.status === 'running').length;
  const online = view.devices.filter((device) => health(device, link, now).kind === 'online').length;
  const parts = [`${formatCount(found)} found`];
  // What was online and running before the connection broke is anyone's guess.
  if (link.status.phase === 'connected') {
    parts.push(`${formatCount(online)} online`, `${formatCount(running)} running`);
  }
  return <p className="nums text-ink-soft">{parts.join(' · ')}</p>;
}
