/**
 * Which broker is shown, how its connection is in a word or two, and how much comes and goes. Opens the list of brokers.
 */
import { placeOf } from '../config.ts';
import type { LinkStatus } from '../mqtt/protocol.ts';
import { useStation } from '../station.ts';
import { classNames } from '../ui/class-names.ts';
import { useNow } from '../ui/clock.ts';
import { formatCount } from '../ui/format.ts';
import { useStoreValue } from '../ui/frame-store.ts';
import type { IconName } from '../ui/icons.tsx';
import { Icon } from '../ui/icons.tsx';
import { useOverlay } from './overlay.ts';

const LOOKS: Record<LinkStatus['phase'], { icon: IconName; className: string }> = {
  connecting: { icon: 'spinner', className: 'text-ink-soft' },
  connected: { icon: 'online', className: 'text-good' },
  waiting: { icon: 'clock', className: 'text-warn' },
  login: { icon: 'key', className: 'text-warn' },
  offline: { icon: 'offline', className: 'text-bad' },
};

export function ConnectionPill() {
  const { broker, connection } = useStation();
  const phase = useStoreValue(connection, (view) => view.status.phase);
  const show = useOverlay((overlay) => overlay.show);
  return (
    <button
      type="button"
      data-testid="connection"
      data-phase={phase}
      aria-haspopup="dialog"
      title={placeOf(broker)}
      onClick={() => {
        show('brokers');
      }}
      className="nums flex h-11 max-w-full min-w-0 items-center gap-2 rounded-full border border-line-strong bg-surface px-3.5 hover:bg-sunken md:h-9 pointer-coarse:h-11"
    >
      {/* On a phone in two lines, so that the title has room beside it. */}
      <span className="flex min-w-0 gap-2 max-sm:flex-col max-sm:items-start max-sm:gap-0 max-sm:leading-tight sm:items-center">
        <State status={useStoreValue(connection, (view) => view.status)} />
        {phase === 'connected' && <Traffic />}
        <span className="max-w-full truncate text-xs text-ink-soft max-sm:max-w-28 sm:max-w-48">
          {broker.name}
        </span>
      </span>
      <Icon name="unfolded" className="text-ink-faint" />
    </button>
  );
}

/** How a connection is, with its icon; of one that has not been opened that it has not. */
export function State({ status }: { status: LinkStatus | undefined }) {
  if (status === undefined) return <span className="text-ink-soft">Not opened</span>;
  const { icon, className } = LOOKS[status.phase];
  return (
    <span className={classNames('flex max-w-full min-w-0 items-center gap-1.5 font-medium', className)}>
      <Icon name={icon} />
      <Words status={status} />
    </span>
  );
}

/** In a width that does not change with the numbers of most brokers. */
function Traffic() {
  const { connection } = useStation();
  const now = useNow();
  const received = perSecond(connection.received.rate(now));
  const sent = perSecond(connection.sent.rate(now));
  return (
    <span className="flex gap-2 text-xs whitespace-nowrap text-ink-soft max-sm:hidden">
      <span className="sr-only">{`${received} messages per second in, ${sent} out`}</span>
      <span aria-hidden="true" className="flex min-w-16 items-center justify-end gap-0.5" title="Messages in">
        {received}/s
        <Icon name="down" className="size-3" />
      </span>
      <span
        aria-hidden="true"
        className="flex min-w-12 items-center justify-end gap-0.5"
        title="Messages out"
      >
        {sent}/s
        <Icon name="up" className="size-3" />
      </span>
    </span>
  );
}

function Words({ status }: { status: LinkStatus }) {
  const now = useNow();
  return <span className="truncate">{stateText(status, now)}</span>;
}

function stateText(status: LinkStatus, now: number): string {
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

/** Few messages are told to a tenth: “0” would say that there are none. */
function perSecond(rate: number): string {
  return rate > 0 && rate < 9.95 ? rate.toFixed(1) : formatCount(Math.round(rate));
}
