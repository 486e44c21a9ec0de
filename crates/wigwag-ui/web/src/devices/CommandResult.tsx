/**
 * One line: what became of the last command. Progress and success are short and pass by; a failure needs room and stays,
 * so the card shows the two in different places.
 */
import { classNames } from '../ui/class-names.ts';
import type { IconName } from '../ui/icons.tsx';
import { Icon } from '../ui/icons.tsx';
import type { Command } from './command-store.ts';

interface Line {
  icon: IconName;
  className: string;
  text: string;
}

export function isFailure(command: Command): boolean {
  return !['pending', 'confirmed', 'delivered'].includes(command.phase);
}

export function CommandResult({ command }: { command: Command }) {
  const { icon, className, text } = describe(command);
  return (
    <p className={classNames('nums flex min-w-0 items-start gap-1.5 text-xs', className)}>
      <Icon name={icon} className="mt-px size-3.5" />
      <span className="min-w-0 wrap-anywhere">{text}</span>
    </p>
  );
}

function describe(command: Command): Line {
  const { name, ongoing, done } = command.ask;
  switch (command.phase) {
    case 'pending':
      return { icon: 'spinner', className: 'text-ink-soft', text: ongoing };
    case 'confirmed':
      return {
        icon: 'check',
        className: 'text-good',
        text: `${done} · ${command.tookMs} ms`,
      };
    case 'delivered':
      return { icon: 'check', className: 'text-ink-soft', text: `${name}: the broker took it` };
    case 'rejected':
      return { icon: 'warning', className: 'text-bad', text: `${name} rejected: ${shorten(command.error)}` };
    case 'unheard':
      return { icon: 'warning', className: 'text-bad', text: `${name} unheard: no device is listening` };
    case 'timed-out':
      return { icon: 'clock', className: 'text-warn', text: `${name} timed out: no reply within 5 s` };
    case 'interrupted':
      return {
        icon: 'offline',
        className: 'text-warn',
        text: `${name} unconfirmed: the connection was lost`,
      };
  }
}

/** The error is the device's text: it may be anything. */
function shorten(error: string): string {
  return error.length <= 160 ? error : `${error.slice(0, 159)}…`;
}
