/** When the device was last heard of, by our clock and by its own, and since when it is gone if it is. */
import type { ReactNode } from 'react';

import { classNames } from '../../ui/class-names.ts';
import { formatAgo, formatCount, formatTime } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { stateTopic } from '../contract.ts';
import type { Device } from '../device-store.ts';
import type { Health } from '../health.ts';

interface Props {
  device: Device;
  condition: Health;
  now: number;
}

export function Presence({ device, condition, now }: Props) {
  const { state, stateAt, invalid } = device;
  const warning = warningOf(condition, stateAt, now);
  return (
    <>
      {warning !== undefined && (
        <p
          className={classNames(
            'nums flex items-start gap-2 rounded-lg px-3 py-2',
            condition.kind === 'offline' ? 'bg-bad-soft text-bad' : 'bg-warn-soft text-warn',
          )}
        >
          <Icon name="warning" className="mt-0.5" />
          {warning}
        </p>
      )}
      <dl className="nums flex flex-wrap gap-x-6 gap-y-2 border-t border-line pt-3 text-xs">
        {state !== undefined && (
          <>
            <Fact name="Last state">
              {formatTime(stateAt, now)} ({formatAgo(Math.max(0, now - stateAt))})
            </Fact>
            <Fact name="Clock of the device">{formatTime(state.timestamp * 1_000, now)}</Fact>
          </>
        )}
        <Fact name="Topic">
          <span className="font-mono">{stateTopic(device.id)}</span>
        </Fact>
        {invalid > 0 && <Fact name="Messages that could not be read">{formatCount(invalid)}</Fact>}
      </dl>
    </>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-ink-faint">{name}</dt>
      <dd className="text-ink-soft wrap-anywhere">{children}</dd>
    </div>
  );
}

function warningOf(condition: Health, stateAt: number, now: number): string | undefined {
  const seen = stateAt === 0 ? 'it sent no state' : `last state ${formatAgo(Math.max(0, now - stateAt))}`;
  switch (condition.kind) {
    case 'offline':
      return `The broker says that the device is gone: ${seen}.`;
    case 'stale':
      return `The device is running but silent: ${seen}.`;
    case 'cut-off':
      return `This page is not connected to the broker: nothing is known since ${formatTime(condition.since, now)}.`;
    case 'online':
    case 'unknown':
      return undefined;
  }
}
