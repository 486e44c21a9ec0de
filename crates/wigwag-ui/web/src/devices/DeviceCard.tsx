/** One device: its values, whether it is there, the recent course of the first of them, and its commands. */
import { memo, useId } from 'react';

import type { ConnectionView } from '../mqtt/connection.ts';
import { Checkbox } from '../ui/Checkbox.tsx';
import { classNames } from '../ui/class-names.ts';
import { useNow } from '../ui/clock.ts';
import { formatAgo, formatCount } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import { CommandResult, isFailure } from './CommandResult.tsx';
import type { Command } from './command-store.ts';
import type { OnCommand } from './Controls.tsx';
import { Controls } from './Controls.tsx';
import { DeviceLink } from './DeviceLink.tsx';
import { textOf, textWithUnit } from './field-text.ts';
import { health } from './health.ts';
import { HealthBadge } from './HealthBadge.tsx';
import type { Device, Status } from './model.ts';
import { mainField, titleOf } from './model.ts';
import type { OnSelect } from './SelectionBar.tsx';
import { Sparkline } from './Sparkline.tsx';

interface Props {
  device: Device;
  link: ConnectionView;
  command: Command | undefined;
  onCommand: OnCommand;
  isSelected?: boolean;
  /** Absent where there is nothing to select. */
  onSelect?: OnSelect;
}

/** Values below the first one, and controls: a card has no room for more. */
const FURTHER_MAX = 3;
const CONTROLS_MAX = 2;

export const DeviceCard = memo(function DeviceCard(props: Props) {
  const { device, link, command, onCommand, isSelected = false, onSelect } = props;
  const now = useNow();
  const condition = health(device, link, now);
  const doubtful = condition.kind !== 'online' && condition.kind !== 'unknown';
  // Not made of the device's: a space in it would make two of it.
  const heading = useId();
  return (
    <article
      aria-labelledby={heading}
      data-device={device.id}
      data-health={condition.kind}
      data-status={device.status}
      data-source={device.source}
      className={classNames(
        'flex min-w-0 flex-col rounded-card border bg-surface shadow-card',
        isSelected ? 'border-accent' : 'border-line',
      )}
    >
      <header className="flex items-start justify-between gap-3 px-4 pt-4">
        {onSelect !== undefined && (
          <Checkbox
            label={`Select ${titleOf(device)}`}
            isChecked={isSelected}
            className="-mt-2.5 -mr-4 -ml-3 md:-mt-1.5 md:-mr-3.5 md:-ml-2.5 pointer-coarse:-mt-2.5"
            onPress={({ shiftKey }) => {
              onSelect(device.id, shiftKey);
            }}
          />
        )}
        <div className="min-w-0 grow">
          <h2 id={heading} className="truncate text-base font-semibold tracking-tight">
            <DeviceLink id={device.id}>{titleOf(device)}</DeviceLink>
          </h2>
          <p className="flex gap-2 text-xs text-ink-faint">
            <span className="truncate font-mono">{device.topics[0]?.filter}</span>
            {device.invalid > 0 && <Invalid count={device.invalid} />}
          </p>
          {device.tags.length > 0 && (
            <p className="truncate text-xs text-ink-soft" title={device.tags.join(', ')}>
              {device.tags.join(', ')}
            </p>
          )}
        </div>
        <HealthBadge condition={condition} now={now} />
      </header>

      <div className="flex grow flex-col gap-3 px-4 pt-3 pb-4">
        <div className="flex items-baseline justify-between gap-3">
          <MainValue device={device} muted={doubtful} />
          <StatusWord status={device.status} muted={doubtful} />
        </div>
        <Further device={device} muted={doubtful} />
        <Sparkline
          field={mainField(device)}
          silenceMs={device.silenceMs}
          muted={doubtful || device.status === 'idle'}
        />
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
          max={CONTROLS_MAX}
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

function MainValue({ device, muted }: { device: Device; muted: boolean }) {
  const field = mainField(device);
  if (field?.value === undefined) {
    return <p className="text-base text-ink-faint">{device.problems[0] ?? 'Waiting for a state'}</p>;
  }
  const text = textOf(field);
  return (
    <p
      data-testid="value"
      title={field.label}
      className={classNames(
        'min-w-0 truncate font-semibold tracking-tight',
        text.length > 10 ? 'text-lg' : 'text-4xl',
        muted && 'text-ink-faint',
      )}
    >
      <span className="nums">{text}</span>
      {field.unit !== undefined && (
        <span className="ml-1 text-lg font-medium text-ink-faint">{field.unit}</span>
      )}
      {device.source !== 'contract' && (
        <span className="ml-2 text-sm font-medium tracking-normal text-ink-soft">{field.label}</span>
      )}
    </p>
  );
}

/** Of the contract's devices the status has its own place, and the rest is on their page. */
function Further({ device, muted }: { device: Device; muted: boolean }) {
  if (device.source === 'contract') return null;
  const further = device.fields.slice(1, 1 + FURTHER_MAX);
  const beyond = device.fields.length + device.fieldsBeyond - 1 - further.length;
  if (further.length === 0) return null;
  return (
    <ul
      className={classNames('nums flex flex-col gap-1 text-xs', muted ? 'text-ink-faint' : 'text-ink-soft')}
    >
      {further.map((field) => (
        <li key={field.key} className="flex justify-between gap-3">
          <span className="truncate">{field.label}</span>
          <span className="max-w-[60%] shrink-0 truncate">{textWithUnit(field)}</span>
        </li>
      ))}
      {beyond > 0 && <li className="text-ink-faint">{formatCount(beyond)} more on its page</li>}
    </ul>
  );
}

function StatusWord({ status, muted }: { status: Status | undefined; muted: boolean }) {
  if (status === undefined) return null;
  const running = status === 'running';
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
  const { stateAt, madeAt } = device;
  if (stateAt === 0) return <span>No state received</span>;
  const made = new Date(madeAt ?? stateAt);
  const isDate = !Number.isNaN(made.getTime());
  return (
    <time
      dateTime={isDate ? made.toISOString() : undefined}
      title={madeAt !== undefined && isDate ? `Device time ${made.toLocaleString()}` : undefined}
    >
      Updated {formatAgo(Math.max(0, now - stateAt))}
    </time>
  );
}
