/** The controls of a device that are a matter of one press: its buttons and switches, as many as there is room for. */
import { memo } from 'react';

import { Button } from '../ui/Button.tsx';
import type { Command } from './command-store.ts';
import type { Control, Device, FieldValue } from './model.ts';
import { fieldOf, titleOf } from './model.ts';

export type OnCommand = (device: Device, control: Control, value: FieldValue) => void;

interface Props {
  device: Device;
  connected: boolean;
  command: Command | undefined;
  onCommand: OnCommand;
  /** Further ones are on the device's page. */
  max?: number;
}

/** Not drawn again with every tick of the clock. */
export const Controls = memo(function Controls(props: Props) {
  const { device, connected, command, onCommand, max = Infinity } = props;
  const pressable = device.controls.filter(({ kind }) => kind === 'button' || kind === 'switch');
  return (
    <div className="flex flex-wrap gap-2">
      {pressable.slice(0, max).map((control) => (
        <Press
          key={control.key}
          device={device}
          control={control}
          connected={connected}
          command={command}
          onCommand={onCommand}
        />
      ))}
    </div>
  );
});

interface PressProps extends Omit<Props, 'max'> {
  control: Control;
}

function Press({ device, control, connected, command, onCommand }: PressProps) {
  const pending = command?.phase === 'pending' ? command.ask.key : undefined;
  const value = fieldOf(device, control.field)?.value;
  const shared = {
    disabled: !connected || pending !== undefined,
    className: 'max-w-full min-w-0',
  };
  if (control.kind === 'button') {
    // What would change something stands out; the other stays possible, since the shown state may be old.
    const stands = control.field !== undefined && value !== control.value;
    return (
      <Button
        {...shared}
        {...iconOf(pending === control.key ? 'spinner' : control.words?.icon)}
        look={stands ? 'solid' : 'outline'}
        label={labelOf(device, control.label)}
        onClick={() => {
          onCommand(device, control, control.value);
        }}
      >
        <span className="truncate">{control.label}</span>
      </Button>
    );
  }
  const press = (next: boolean, name: string) => (
    <Button
      {...shared}
      {...iconOf(pending === control.key ? 'spinner' : undefined)}
      key={name}
      label={labelOf(device, `Turn ${name} ${control.label} of`)}
      onClick={() => {
        onCommand(device, control, next);
      }}
    >
      <span className="truncate">
        Turn {name} {control.label}
      </span>
    </Button>
  );
  // Of a switch that does not say how it stands, either may be wanted.
  if (value === true) return press(false, 'off');
  if (value === false) return press(true, 'on');
  return [press(true, 'on'), press(false, 'off')];
}

function iconOf(icon: 'spinner' | 'play' | 'stop' | undefined) {
  return icon === undefined ? {} : { icon };
}

/** Within a sentence, “Start device 7”. */
function labelOf(device: Device, what: string): string {
  const title = titleOf(device);
  return `${what} ${device.source === 'contract' ? title.replace(/^D/, 'd') : title}`;
}
