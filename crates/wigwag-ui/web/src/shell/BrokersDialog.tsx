/** All brokers of the page with the state of their connections, to choose the one that is shown. */
import { useEffect } from 'react';
import { Link, useLocation } from 'react-router';

import { placeOf } from '../config.ts';
import { useStation } from '../station.ts';
import type { Listed } from '../stations.ts';
import { useStations } from '../stations.ts';
import { classNames } from '../ui/class-names.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { useStore } from '../ui/frame-store.ts';
import { State } from './ConnectionPill.tsx';
import { tabSearch } from './links.ts';
import { useGoToBroker } from './useGoToBroker.ts';

export function BrokersDialog({ onClose }: { onClose: () => void }) {
  const station = useStation();
  const stations = useStations();
  const listed = useStore(stations);
  const goTo = useGoToBroker();
  const search = tabSearch(useLocation().search);
  useEffect(() => {
    stations.openAll();
  }, [stations]);
  return (
    <Dialog title="Brokers" onClose={onClose} className="md:max-w-lg">
      <ul className="flex flex-col gap-1 px-3 py-3">
        {listed.map((one) => (
          <li key={one.broker.name}>
            <Choice
              listed={one}
              isShown={one.broker === station.broker}
              onChoose={() => {
                // First: the dialog belongs to the broker that is shown now.
                onClose();
                if (one.broker !== station.broker) goTo(one.broker);
              }}
            />
          </li>
        ))}
      </ul>
      <p className="border-t border-line px-5 py-3 text-ink-soft">
        <Link to={{ pathname: '/settings', search }} onClick={onClose} className="text-accent underline">
          Add or remove brokers
        </Link>{' '}
        in the settings.
      </p>
    </Dialog>
  );
}

interface ChoiceProps {
  listed: Listed;
  isShown: boolean;
  onChoose: () => void;
}

function Choice({ listed: { broker, status }, isShown, onChoose }: ChoiceProps) {
  return (
    <button
      type="button"
      aria-current={isShown || undefined}
      onClick={onChoose}
      className={classNames(
        'nums flex min-h-13 w-full flex-wrap items-center gap-x-4 gap-y-1 rounded-lg px-3 py-2 text-left hover:bg-sunken',
        isShown && 'bg-accent-soft',
      )}
    >
      <span className="min-w-0 grow basis-48">
        <span className="block font-medium wrap-anywhere">{broker.name}</span>
        <span className="block font-mono text-xs wrap-anywhere text-ink-soft">{placeOf(broker)}</span>
        {status !== undefined && 'reason' in status && (
          <span className="block text-xs wrap-anywhere text-ink-soft">{status.reason}</span>
        )}
        {status?.phase === 'connected' && status.isOld === true && (
          <span className="block text-xs text-ink-soft">It knows MQTT 3.1.1 and not 5.</span>
        )}
      </span>
      <State status={status} />
    </button>
  );
}
