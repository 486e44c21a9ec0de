/**
 * The devices as a table. Only the rows in view are in the document, so that ten thousand cost no more than twenty; what
 * assistive technology has to know of the others stands in the attributes.
 */
import type { ReactNode } from 'react';
import { memo } from 'react';

import type { ConnectionView } from '../mqtt/connection.ts';
import { Checkbox } from '../ui/Checkbox.tsx';
import { classNames } from '../ui/class-names.ts';
import { formatAgo } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import { useWindow } from '../ui/useWindow.ts';
import { CommandResult } from './CommandResult.tsx';
import type { Command, CommandsView } from './command-store.ts';
import type { OnCommand } from './Controls.tsx';
import { Controls } from './Controls.tsx';
import type { ListedDevice, Sort, SortKey } from './device-list.ts';
import { DeviceLink } from './DeviceLink.tsx';
import { textWithUnit } from './field-text.ts';
import { HealthBadge } from './HealthBadge.tsx';
import { mainField, titleOf } from './model.ts';
import type { OnSelect } from './SelectionBar.tsx';

const ROW_PX = 56;

const GRID =
  'grid grid-cols-[2.75rem_minmax(9rem,2fr)_9rem_7rem_8rem_8rem_minmax(17rem,1.5fr)] items-center gap-x-3 pr-4 pl-1';

interface Props {
  devices: readonly ListedDevice[];
  /** What the values are, if those of all are the same. */
  valueLabel: string | undefined;
  sort: Sort;
  link: ConnectionView;
  commands: CommandsView;
  now: number;
  selected: ReadonlySet<string>;
  onSort: (sort: Sort) => void;
  onCommand: OnCommand;
  onSelect: OnSelect;
  /** Stands in the header of the boxes to tick. */
  selectAll: ReactNode;
}

export function DeviceTable(props: Props) {
  const { devices, valueLabel, sort, link, commands, now, selected } = props;
  const { onSort, onCommand, onSelect, selectAll } = props;
  const { box, onScroll, first, end } = useWindow(devices.length, ROW_PX);
  return (
    <div
      ref={box}
      role="region"
      aria-label="Table of devices"
      tabIndex={0}
      onScroll={onScroll}
      className="max-h-[max(24rem,calc(100dvh-14rem))] overflow-auto overscroll-contain rounded-card border border-line bg-surface shadow-card"
    >
      <div role="table" aria-label="Devices" aria-rowcount={devices.length + 1} className="min-w-240">
        <div role="rowgroup" className="sticky top-0 z-[1] border-b border-line bg-surface">
          <div role="row" aria-rowindex={1} className={classNames(GRID, 'h-11 text-xs text-ink-soft')}>
            <span role="columnheader">{selectAll}</span>
            <Header by="name" name="Device" sort={sort} onSort={onSort} />
            <span role="columnheader">Health</span>
            <span role="columnheader">Status</span>
            <Header by="value" name={nameOf(valueLabel)} sort={sort} onSort={onSort} />
            <Header by="updated" name="Updated" sort={sort} onSort={onSort} />
            <span role="columnheader">Commands</span>
          </div>
        </div>
        <div role="rowgroup" className="relative" style={{ height: devices.length * ROW_PX }}>
          <div role="presentation" className="absolute inset-x-0" style={{ top: first * ROW_PX }}>
            {devices.slice(first, end).map(({ device, condition }, index) => (
              <Row
                key={device.id}
                device={device}
                condition={condition}
                index={first + index + 2}
                isConnected={link.status.phase === 'connected'}
                command={commands.get(device.id)}
                now={now}
                isSelected={selected.has(device.id)}
                onCommand={onCommand}
                onSelect={onSelect}
              />
            ))}
          </div>
        </div>
      </div>
    </div>
  );
}

function nameOf(label = ''): string {
  return label === '' ? 'Value' : label.charAt(0).toUpperCase() + label.slice(1);
}

interface HeaderProps {
  by: SortKey;
  name: string;
  sort: Sort;
  onSort: (sort: Sort) => void;
}

function Header({ by, name, sort, onSort }: HeaderProps) {
  const isSorted = sort.by === by;
  const order = sort.isDescending ? 'descending' : 'ascending';
  return (
    <span role="columnheader" aria-sort={isSorted ? order : 'none'} className="min-w-0">
      <button
        type="button"
        onClick={() => {
          onSort({ by, isDescending: isSorted && !sort.isDescending });
        }}
        className={classNames(
          'flex h-11 items-center gap-1 hover:text-ink',
          isSorted && 'font-semibold text-ink',
        )}
      >
        {name}
        {isSorted && <Icon name={sort.isDescending ? 'down' : 'up'} className="size-3.5" />}
      </button>
    </span>
  );
}

interface RowProps extends ListedDevice {
  /** Among all rows, from 1, the header's. */
  index: number;
  isConnected: boolean;
  command: Command | undefined;
  now: number;
  isSelected: boolean;
  onCommand: OnCommand;
  onSelect: OnSelect;
}

const Row = memo(function Row(props: RowProps) {
  const { device, condition, index, isConnected, command, now, isSelected, onCommand, onSelect } = props;
  const { id, stateAt, tags } = device;
  const main = mainField(device);
  const isDoubtful = condition.kind !== 'online' && condition.kind !== 'unknown';
  return (
    <div
      role="row"
      aria-rowindex={index}
      data-row={id}
      data-health={condition.kind}
      className={classNames(
        GRID,
        'h-14 border-b border-line/60',
        isDoubtful && 'text-ink-faint',
        isSelected && 'bg-accent-soft',
      )}
    >
      <span role="cell">
        <Checkbox
          label={`Select ${titleOf(device)}`}
          isChecked={isSelected}
          onPress={({ shiftKey }) => {
            onSelect(id, shiftKey);
          }}
        />
      </span>
      <span role="cell" className="min-w-0 font-medium" title={device.name}>
        <DeviceLink id={id} className={classNames('block truncate', tags.length === 0 ? 'py-3' : 'pt-1')}>
          {device.name}
        </DeviceLink>
        {tags.length > 0 && (
          <span title={tags.join(', ')} className="block truncate text-xs font-normal text-ink-faint">
            {tags.join(', ')}
          </span>
        )}
      </span>
      <span role="cell" className="overflow-hidden">
        <HealthBadge condition={condition} now={now} />
      </span>
      <span role="cell">{device.status ?? '–'}</span>
      <span role="cell" className="nums min-w-0 truncate" title={main?.label}>
        {main === undefined ? '–' : textWithUnit(main)}
      </span>
      <span role="cell" className="nums">
        {stateAt === 0 ? '–' : formatAgo(Math.max(0, now - stateAt))}
      </span>
      <span role="cell" className="flex min-w-0 items-center gap-3">
        {/* In one line, whatever the result says. */}
        <span className="shrink-0">
          <Controls device={device} connected={isConnected} command={command} onCommand={onCommand} max={2} />
        </span>
        {command !== undefined && <CommandResult command={command} />}
      </span>
    </div>
  );
});
