/** When the device was last heard of, by our clock and by its own, and since when it is gone if it is. */
import type { ReactNode } from 'react';

import { classNames } from '../../ui/class-names.ts';
import { formatAgo, formatCount, formatTime } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import type { Health } from '../health.ts';
import type { Device } from '../model.ts';
import { SOURCE_NAMES } from '../model.ts';

interface Props {
  device: Device;
  condition: Health;
  now: number;
}

export function Presence({ device, condition, now }: Props) {
  const { stateAt, madeAt, invalid } = device;
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
      {device.problems.length > 0 && (
        <ul aria-label="Problems" className="flex flex-col gap-1 text-warn">
          {device.problems.map((problem) => (
            <li key={problem} className="flex items-start gap-2">
              <Icon name="warning" className="mt-0.5" />
              <span className="min-w-0 wrap-anywhere">{problem}</span>
            </li>
          ))}
        </ul>
      )}
      <dl className="nums flex flex-wrap gap-x-6 gap-y-2 border-t border-line pt-3 text-xs">
        {stateAt > 0 && (
          <Fact name="Last state">
            {formatTime(stateAt, now)} ({formatAgo(Math.max(0, now - stateAt))})
          </Fact>
        )}
        {madeAt !== undefined && <Fact name="Clock of the device">{formatTime(madeAt, now)}</Fact>}
        {factsOf(device).map(([name, value]) => (
          <Fact key={name} name={name}>
            {value}
          </Fact>
        ))}
        <Fact name="Topic">
          <span className="font-mono">{device.topics[0]?.filter}</span>
        </Fact>
        {invalid > 0 && <Fact name="Messages that could not be read">{formatCount(invalid)}</Fact>}
      </dl>
    </>
  );
}

function factsOf({ source, about, tags }: Device): [name: string, value: string][] {
  const facts: [string, string | undefined][] = [
    ['Spoken', SOURCE_NAMES[source]],
    ['Manufacturer', about.manufacturer],
    ['Model', about.model],
    ['Firmware', about.firmware],
    ['Hardware', about.hardware],
    ['Serial number', about.serial],
    ['Area', about.area],
    ['Tags', tags.length === 0 ? undefined : tags.join(', ')],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
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
      return `The device should be publishing, but is silent: ${seen}.`;
    case 'cut-off':
      return `This page is not connected to the broker: nothing is known since ${formatTime(condition.since, now)}.`;
    case 'online':
    case 'unknown':
      return undefined;
  }
}
