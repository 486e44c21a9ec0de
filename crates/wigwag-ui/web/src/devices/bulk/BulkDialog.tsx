/**
 * Asks what is to be sent to the selected devices, and shows what each would get and who would get nothing before
 * anything is sent. Of many, the number has to be typed.
 */
import { useMemo, useState } from 'react';

import { useStation } from '../../station.ts';
import { Button } from '../../ui/Button.tsx';
import { Dialog } from '../../ui/Dialog.tsx';
import { formatCount } from '../../ui/format.ts';
import { useStore } from '../../ui/frame-store.ts';
import { SelectField } from '../../ui/SelectField.tsx';
import { TextField } from '../../ui/TextField.tsx';
import type { ListedDevice } from '../device-list.ts';
import { RATE_PER_SEC, RATES_PER_SEC } from './bulk-store.ts';
import type { Plan, Wish } from './plan.ts';
import { planOf } from './plan.ts';
import { PlanView } from './PlanView.tsx';
import { TagsForm } from './TagsForm.tsx';
import { WishForm } from './WishForm.tsx';

/** Beyond so many, a click is not enough. */
export const CLICK_MAX = 100;

/** What is asked for, and what it is called; nothing while it is not complete. */
export type Wanted = { wish: Wish; name: string } | undefined;

interface Props {
  about: 'command' | 'tags';
  /** As they were when the dialog was opened: what is shown does not change under the hand. */
  devices: readonly ListedDevice[];
  onClose: () => void;
}

const NOBODY: Plan = { steps: [], unable: [] };

export function BulkDialog({ about, devices, onClose }: Props) {
  const station = useStation();
  const link = useStore(station.connection);
  const [wanted, setWanted] = useState<Wanted>();
  const [perSec, setPerSec] = useState<string>(String(RATE_PER_SEC));
  const [withOffline, setWithOffline] = useState(false);
  const [typed, setTyped] = useState('');
  const all = useMemo(() => devices.map(({ device }) => device), [devices]);
  const offline = useMemo(() => devices.filter(({ condition }) => condition.kind === 'offline'), [devices]);
  const plan = useMemo(() => {
    if (wanted === undefined) return NOBODY;
    // What is retained reaches them whenever they come back.
    const leaves = about === 'command' && !withOffline ? offline : [];
    return planOf(all, wanted.wish, new Map(leaves.map(({ device }) => [device.id, 'is offline'])));
  }, [wanted, all, offline, about, withOffline]);
  const count = plan.steps.length;
  const mustType = count > CLICK_MAX;
  const isConnected = link.status.phase === 'connected';
  const isReady = wanted !== undefined && count > 0 && isConnected && (!mustType || typed === String(count));
  return (
    <Dialog title={titleOf(about, devices.length)} onClose={onClose} className="sm:w-180">
      <form
        className="flex flex-col gap-4 p-5"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isReady) return;
          station.bulk.begin(wanted.name, plan, Number(perSec));
          onClose();
        }}
      >
        {about === 'command' ? (
          <WishForm devices={all} onChange={setWanted} />
        ) : (
          <TagsForm devices={all} onChange={setWanted} />
        )}
        <div className="flex flex-wrap items-end gap-x-6 gap-y-3">
          <SelectField
            label="At most"
            value={perSec}
            options={RATES_PER_SEC.map((rate) => ({
              value: String(rate),
              name: `${formatCount(rate)} a second`,
            }))}
            onChange={setPerSec}
          />
          {about === 'command' && offline.length > 0 && (
            <label className="flex min-h-11 items-center gap-2 md:min-h-9">
              <input
                type="checkbox"
                checked={withOffline}
                className="size-4.5 accent-accent"
                onChange={(event) => {
                  setWithOffline(event.target.checked);
                }}
              />
              <span className="nums">
                Also to the {formatCount(offline.length)} that are offline: some get it when they come back
              </span>
            </label>
          )}
        </div>
        {wanted !== undefined && <PlanView plan={plan} />}
        {mustType && (
          <TextField
            label={`Type ${count} to confirm`}
            value={typed}
            onChange={setTyped}
            inputMode="numeric"
            autoComplete="off"
          />
        )}
        <div className="flex flex-wrap items-center justify-end gap-2">
          {!isConnected && <p className="grow text-warn">Not connected to the broker</p>}
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="solid" disabled={!isReady}>
            <span className="nums">
              {count === 0 ? 'Send' : `Send to ${formatCount(count)} ${count === 1 ? 'device' : 'devices'}`}
            </span>
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function titleOf(about: Props['about'], count: number): string {
  const whom = count === 1 ? '1 device' : `${formatCount(count)} devices`;
  return about === 'command' ? `A command to ${whom}` : `Tags of ${whom}`;
}
