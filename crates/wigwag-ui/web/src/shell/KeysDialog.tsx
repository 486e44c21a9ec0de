/** The help sheet: the keys that hold everywhere, and those of each screen. */
import { Dialog } from '../ui/Dialog.tsx';
import { Keys } from '../ui/Keys.tsx';
import type { KeyHelp } from './screens.tsx';
import { SCREENS } from './screens.tsx';
import { useSettings } from './settings.ts';
import { COMMAND_KEY } from './useKeys.ts';

const EVERYWHERE: readonly KeyHelp[] = [
  { keys: [COMMAND_KEY, 'K'], does: 'Find a page, a device, a topic, an action' },
  { keys: ['/'], does: 'Search on this page' },
  { keys: ['?'], does: 'These keys' },
  { keys: ['Esc'], does: 'Close what is open' },
];

export function KeysDialog({ onClose }: { onClose: () => void }) {
  const singleKeys = useSettings((settings) => settings.singleKeys);
  const going = SCREENS.map(({ key, name }) => ({ keys: ['g', key], does: `Go to ${name}` }));
  return (
    <Dialog title="Keys" onClose={onClose} className="md:max-w-2xl">
      <div className="grid gap-x-8 gap-y-5 p-5 sm:grid-cols-2">
        {!singleKeys && (
          <p className="text-ink-soft sm:col-span-2">
            Single keys are turned off in the settings; those with {COMMAND_KEY} work.
          </p>
        )}
        <Sheet title="Everywhere" rows={EVERYWHERE} />
        <Sheet title="Go to" rows={going} />
        {SCREENS.map(({ name, keys }) => keys && <Sheet key={name} title={name} rows={keys} />)}
      </div>
    </Dialog>
  );
}

function Sheet({ title, rows }: { title: string; rows: readonly KeyHelp[] }) {
  return (
    <section>
      <h3 className="mb-2 font-semibold">{title}</h3>
      <dl className="flex flex-col gap-1.5">
        {rows.map(({ keys, does }) => (
          <div key={does} className="flex items-center justify-between gap-4">
            <dt className="text-ink-soft">{does}</dt>
            <dd>
              <Keys keys={keys} />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
