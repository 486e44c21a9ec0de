/** One device: its state, whether it is there, its recent temperatures, and the two commands. */
import { memo } from 'react';

import type { ConnectionView } from '../mqtt/connection.ts';
import { classNames } from '../ui/class-names.ts';
import { useNow } from '../ui/clock.ts';
import { formatAgo, formatCount, formatTemperature } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import { CommandResult, isFailure } from './CommandResult.tsx';
import type { Command } from './command-store.ts';
import type { Action, DeviceState } from './contract.ts';
import { stateTopic } from './contract.ts';
import { Controls } from './Controls.tsx';
import type { Device } from './device-store.ts';
import { DeviceLink } from './DeviceLink.tsx';
import { health } from './health.ts';
import { HealthBadge } from './HealthBadge.tsx';
import { Sparkline } from './Sparkline.tsx';

interface Props {
  device: Device;
  link: ConnectionView;
  command: Command | undefined;
  onCommand: (id: string, action: Action) => void;
}

export const DeviceCard = memo(function DeviceCard({ device, link, command, onCommand }: Props) {
  const now = useNow();
  const condition = health(device, link, now);
  const doubtful = condition.kind !== 'online' && condition.kind !== 'unknown';
  const heading = `device-${device.id}`;
  return (
    <article
      aria-labelledby={heading}
      data-device={device.id}
      data-health={condition.kind}
      data-status={device.state?.status}
      className="flex min-w-0 flex-col rounded-card border border-line bg-surface shadow-card"
    >
      <header className="flex items-start justify-between gap-3 px-4 pt-4">
        <div className="min-w-0">
          <h2 id={heading} className="truncate text-base font-semibold tracking-tight">
            <DeviceLink id={device.id}>Device {device.id}</DeviceLink>
          </h2>
          <p className="flex gap-2 text-xs text-ink-faint">
            <span className="truncate font-mono">{stateTopic(device.id)}</span>
            {device.invalid > 0 && <Invalid count={device.invalid} />}
          </p>
        </div>
        <HealthBadge condition={condition} now={now} />
      </header>

      <div className="flex grow flex-col gap-3 px-4 pt-3 pb-4">
        <div className="flex items-baseline justify-between gap-3">
          <Temperature state={device.state} muted={doubtful} />
          <StatusWord state={device.state} muted={doubtful} />
        </div>
        <Sparkline samples={device.samples} muted={doubtful || device.state?.status !== 'running'} />
        <div className="nums flex flex-wrap justify-between gap-x-3 text-xs text-ink-soft">
          <Age device={device} now={now} />
          {command !== undefined && !isFailure(command) && <CommandResult command={command} />}
        </div>
      </div>

      <footer className="flex flex-col gap-2 border-t border-line px-4 py-3">
        <Controls
          device={device}
          connected={link.status.phase === 'connected'}
          command={command}
          onCommand={onCommand}
        />
        {command !== undefined && isFailure(command) && <CommandResult command={command} />}
      </footer>
    </article>
  );
});

function Invalid({ count }: { count: number }) {
  return (
    <span
      className="nums flex shrink-0 items-center gap-1 text-warn"
      title="Messages that could not be read; see the log"
    >
      <Icon name="warning" className="size-3.5" />
      {formatCount(count)} invalid
    </span>
  );
}

function Temperature({ state, muted }: { state: DeviceState | undefined; muted: boolean }) {
  if (state === undefined) return <p className="text-base text-ink-faint">Waiting for a state</p>;
  return (
    <p
      data-testid="temperature"
      className={classNames(
        'min-w-0 truncate text-4xl font-semibold tracking-tight',
        muted && 'text-ink-faint',
      )}
    >
      <span className="nums">{formatTemperature(state.temperature)}</span>
      <span className="ml-1 text-lg font-medium text-ink-faint">°C</span>
    </p>
  );
}

function StatusWord({ state, muted }: { state: DeviceState | undefined; muted: boolean }) {
  if (state === undefined) return null;
  const running = state.status === 'running';
  return (
    <p
      data-testid="status"
      className={classNames(
        'flex items-center gap-1.5 font-medium',
        muted ? 'text-ink-faint' : running ? 'text-good' : 'text-ink-soft',
      )}
    >
      <Icon name={running ? 'play' : 'idle'} className={classNames(running && !muted && 'breathing')} />
      {running ? 'Running' : 'Idle'}
    </p>
  );
}

function Age({ device, now }: { device: Device; now: number }) {
  if (device.state === undefined) return <span>No state received</span>;
  const made = new Date(device.state.timestamp * 1000);
  return (
    <time dateTime={made.toISOString()} title={`Device time ${made.toLocaleString()}`}>
      Updated {formatAgo(Math.max(0, now - device.stateAt))}
    </time>
  );
}
