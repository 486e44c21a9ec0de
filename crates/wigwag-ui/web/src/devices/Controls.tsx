/** The buttons of the two commands that every device knows. */
import { Button } from '../ui/Button.tsx';
import type { IconName } from '../ui/icons.tsx';
import type { Command } from './command-store.ts';
import type { Action } from './contract.ts';
import type { Device } from './device-store.ts';

interface Props {
  device: Device;
  connected: boolean;
  command: Command | undefined;
  onCommand: (id: string, action: Action) => void;
}

/** The command that would change something stands out; the other stays possible, since the shown state may be old. */
export function Controls({ device, connected, command, onCommand }: Props) {
  const pending = command?.phase === 'pending' ? command.action : undefined;
  const running = device.state?.status === 'running';
  const button = (action: Action, name: string, icon: IconName, stands: boolean) => (
    <Button
      look={stands ? 'solid' : 'outline'}
      icon={pending === action ? 'spinner' : icon}
      disabled={!connected || pending !== undefined}
      label={`${name} device ${device.id}`}
      onClick={() => {
        onCommand(device.id, action);
      }}
    >
      {name}
    </Button>
  );
  return (
    <div className="flex gap-2">
      {button('start', 'Start', 'play', !running)}
      {button('stop', 'Stop', 'stop', running)}
    </div>
  );
}
