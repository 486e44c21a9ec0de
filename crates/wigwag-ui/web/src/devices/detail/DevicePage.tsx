/** The page at /devices/:id: everything that is known of one device, and commands to it. */
import type { ReactNode } from 'react';
import { useMemo, useState } from 'react';
import { Link, useLocation, useParams } from 'react-router';

import { MessageLogPanel } from '../../log/MessageLogPanel.tsx';
import { deviceOfParam, tabSearch } from '../../shell/links.ts';
import { PageHeader } from '../../shell/PageHeader.tsx';
import { useStation } from '../../station.ts';
import { useNow } from '../../ui/clock.ts';
import { useStore } from '../../ui/frame-store.ts';
import { DemoFleet } from '../DemoFleet.tsx';
import { health, REFRESH_MS } from '../health.ts';
import { HealthBadge } from '../HealthBadge.tsx';
import type { Device } from '../model.ts';
import { titleOf } from '../model.ts';
import { Charts } from './Charts.tsx';
import { CommandPanel } from './CommandPanel.tsx';
import { Presence } from './Presence.tsx';
import { RetainedTopics } from './RetainedTopics.tsx';
import { SessionPanel } from './SessionPanel.tsx';
import { StateFields } from './StateFields.tsx';

/** The longest name that a page of its own needs in its title. */
const TITLE_CHARS_MAX = 48;

export function DevicePage() {
  const id = deviceOfParam(useParams().id ?? '');
  // Anew for each device: nothing typed for one may be sent to another.
  return <OneDevice key={id} id={id} />;
}

function OneDevice({ id }: { id: string }) {
  const station = useStation();
  const view = useStore(station.devices);
  const device = useMemo(() => view.devices.find((one) => one.id === id), [view, id]);
  return (
    <>
      <PageHeader title={shorten(device === undefined ? `Device ${id}` : titleOf(device))}>
        <BackLink />
      </PageHeader>
      {device === undefined ? <Unknown id={id} /> : <Known device={device} />}
    </>
  );
}

function Known({ device }: { device: Device }) {
  const station = useStation();
  // The record outlives the page on purpose, and opening it twice is the same as once.
  const [record] = useState(() => station.records.open(device, station.log.snapshot().entries));
  return (
    <div className="flex min-w-0 grow flex-col gap-4 2xl:flex-row 2xl:items-start">
      <div className="flex min-w-0 flex-col gap-4 2xl:grow">
        <Overview device={device} />
        <Charts device={device} record={record} />
        <div className="grid gap-4 lg:grid-cols-2 lg:items-start">
          <CommandPanel device={device} />
          <RetainedTopics device={device} />
        </div>
        <SessionPanel device={device} />
      </div>
      <MessageLogPanel log={record.log} />
    </div>
  );
}

function Overview({ device }: { device: Device }) {
  const link = useStore(useStation().connection);
  const now = useNow();
  const condition = health(device, link, now);
  const isDoubtful = condition.kind !== 'online' && condition.kind !== 'unknown';
  return (
    <section
      aria-labelledby="state-title"
      data-device={device.id}
      data-health={condition.kind}
      data-status={device.status}
      className="flex flex-col gap-4 rounded-card border border-line bg-surface p-4 shadow-card"
    >
      <header className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <h2 id="state-title" className="text-base font-semibold tracking-tight">
          State
        </h2>
        <HealthBadge condition={condition} now={now} />
      </header>
      <StateFields device={device} isDoubtful={isDoubtful} />
      <Presence device={device} condition={condition} now={now} />
    </section>
  );
}

function BackLink() {
  const { search } = useLocation();
  return (
    <Link
      to={{ pathname: '/devices', search: tabSearch(search) }}
      className="text-accent underline underline-offset-4"
    >
      All devices
    </Link>
  );
}

function Unknown({ id }: { id: string }) {
  const { status } = useStore(useStation().connection);
  const now = useNow();
  const isSettled = status.phase === 'connected' && now - status.since > REFRESH_MS;
  return (
    <Note>
      {isSettled ? (
        <>
          <p>
            No device called <strong className="font-semibold wrap-anywhere">{id}</strong> has published a
            state, or it took its state back. This page fills as soon as one does.
          </p>
          <DemoFleet />
        </>
      ) : (
        <p>The device appears here as soon as the broker is reached.</p>
      )}
    </Note>
  );
}

function Note({ children }: { children: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-6 rounded-card border border-dashed border-line-strong px-6 py-16 text-center text-ink-soft">
      {children}
    </div>
  );
}

function shorten(id: string): string {
  return id.length <= TITLE_CHARS_MAX ? id : `${id.slice(0, TITLE_CHARS_MAX - 1)}…`;
}
