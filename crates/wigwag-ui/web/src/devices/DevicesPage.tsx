/** The page at /devices: a card per device and the message log. */
import { useCallback } from 'react';

import { MessageLogPanel } from '../log/MessageLogPanel.tsx';
import { PageHeader } from '../shell/PageHeader.tsx';
import { useStation } from '../station.ts';
import { useNow } from '../ui/clock.ts';
import { formatCount } from '../ui/format.ts';
import { useStore } from '../ui/frame-store.ts';
import { WhenNear } from '../ui/WhenNear.tsx';
import type { Action } from './contract.ts';
import { DeviceCard } from './DeviceCard.tsx';
import type { DevicesView } from './device-store.ts';
import { EmptyState } from './EmptyState.tsx';
import type { LinkView } from './health.ts';
import { health } from './health.ts';

/** So many cards may all be in the document; of more, only those near the screen are drawn. */
const DRAWN_ALWAYS_MAX = 24;
/** The height of a card, so that the page does not jump while it is scrolled. */
const SLOT_CLASS = 'grid min-h-70 min-w-0';

export function DevicesPage() {
  const station = useStation();
  const link = useStore(station.connection);
  const view = useStore(station.devices);
  const commands = useStore(station.commands);
  const send = useCallback(
    (id: string, action: Action) => {
      station.commands.send(id, action);
    },
    [station],
  );
  return (
    <>
      <PageHeader title="Devices">
        <Summary view={view} link={link} />
      </PageHeader>
      <div className="flex min-w-0 grow flex-col gap-4 2xl:flex-row 2xl:items-start">
        <section aria-label="Devices" className="min-w-0 2xl:grow">
          {view.devices.length === 0 ? (
            <EmptyState link={link} />
          ) : (
            <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,17.5rem),1fr))] gap-4">
              {view.devices.map((device) => (
                <WhenNear
                  key={device.id}
                  always={view.devices.length <= DRAWN_ALWAYS_MAX}
                  className={SLOT_CLASS}
                >
                  <DeviceCard
                    device={device}
                    link={link}
                    command={commands.get(device.id)}
                    onCommand={send}
                  />
                </WhenNear>
              ))}
            </div>
          )}
          {view.overflow > 0 && (
            <p className="nums mt-4 text-ink-soft">
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

function Summary({ view, link }: { view: DevicesView; link: LinkView }) {
  const now = useNow();
  if (view.devices.length === 0) return null;
  const found = view.devices.length;
  const running = view.devices.filter((device) => device.state?.status === 'running').length;
  const online = view.devices.filter((device) => health(device, link, now).kind === 'online').length;
  const parts = [`${formatCount(found)} found`];
  // What was online and running before the connection broke is anyone's guess.
  if (link.status.phase === 'connected') {
    parts.push(`${formatCount(online)} online`, `${formatCount(running)} running`);
  }
  return <p className="nums text-ink-soft">{parts.join(' · ')}</p>;
}
