/** The state of the connection in a word or two, and the address it is about. */
import type { LinkStatus } from '../mqtt/protocol.ts';
import { useStation } from '../station.ts';
import { classNames } from '../ui/class-names.ts';
import { useNow } from '../ui/clock.ts';
import { useStore } from '../ui/frame-store.ts';
import type { IconName } from '../ui/icons.tsx';
import { Icon } from '../ui/icons.tsx';

const LOOKS: Record<LinkStatus['phase'], { icon: IconName; className: string }> = {
  connecting: { icon: 'spinner', className: 'text-ink-soft' },
  connected: { icon: 'online', className: 'text-good' },
  waiting: { icon: 'clock', className: 'text-warn' },
  login: { icon: 'key', className: 'text-warn' },
  offline: { icon: 'offline', className: 'text-bad' },
};

export function ConnectionPill() {
  const { url, status } = useStore(useStation().connection);
  const now = useNow();
  const { icon, className } = LOOKS[status.phase];
  return (
    <div
      data-testid="connection"
      data-phase={status.phase}
      className="nums flex h-9 min-w-0 items-center gap-2 rounded-full border border-line bg-surface px-3.5"
    >
      <span className={classNames('flex items-center gap-1.5 font-medium whitespace-nowrap', className)}>
        <Icon name={icon} />
        {pillText(status, now)}
      </span>
      {url !== '' && <span className="truncate font-mono text-xs text-ink-faint max-sm:hidden">{url}</span>}
    </div>
  );
}

function pillText(status: LinkStatus, now: number): string {
  switch (status.phase) {
    case 'connecting':
      return 'Connecting';
    case 'connected':
      return 'Connected';
    case 'waiting':
      return `Reconnecting in ${secondsUntil(status.retryAt, now)} s`;
    case 'login':
      return 'Login needed';
    case 'offline':
      return 'Offline';
  }
}

/** Counts down to 1: at zero the next attempt has begun. */
export function secondsUntil(at: number, now: number): number {
  return Math.max(1, Math.ceil((at - now) / 1000));
}
