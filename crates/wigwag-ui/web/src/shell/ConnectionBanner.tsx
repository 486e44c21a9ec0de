/** What is wrong with the connection, since when, and what can be done. Absent while all is well. */
import type { ReactNode } from 'react';

import { placeOf } from '../config.ts';
import type { ConnectionView } from '../mqtt/connection.ts';
import { useStation } from '../station.ts';
import { Button } from '../ui/Button.tsx';
import { classNames } from '../ui/class-names.ts';
import { useNow } from '../ui/clock.ts';
import { formatTime } from '../ui/format.ts';
import { useStore } from '../ui/frame-store.ts';
import type { IconName } from '../ui/icons.tsx';
import { Icon } from '../ui/icons.tsx';
import { secondsUntil } from './ConnectionPill.tsx';
import { useOverlay } from './overlay.ts';

export function ConnectionBanner() {
  const { broker, connection } = useStation();
  const show = useOverlay((overlay) => overlay.show);
  const view = useStore(connection);
  const { status } = view;
  switch (status.phase) {
    case 'connected':
      return status.refused.map(({ filter, reason }) => (
        <Banner
          key={filter}
          tone="warn"
          icon="warning"
          title={`The broker refused the subscription to ${filter}`}
        >
          {reason}
        </Banner>
      ));
    case 'login':
      return (
        <Banner
          tone="warn"
          icon="key"
          title={`${placeOf(broker)} asks for a user name and a password`}
          action={
            <Button
              icon="key"
              onClick={() => {
                show('login');
              }}
            >
              Log in
            </Button>
          }
        >
          {capitalised(status.reason)}.
        </Banner>
      );
    case 'offline':
      return (
        <Banner tone="bad" icon="offline" title="There is no broker to connect to">
          {status.reason}
        </Banner>
      );
    case 'connecting':
      if (status.attempt === 1) return null;
      return <Retrying view={view} onRetry={undefined} />;
    case 'waiting':
      return (
        <Retrying
          view={view}
          onRetry={() => {
            connection.retry();
          }}
        />
      );
  }
}

function Retrying({ view, onRetry }: { view: ConnectionView; onRetry: (() => void) | undefined }) {
  const now = useNow();
  const { status, downSince } = view;
  const url = placeOf(useStation().broker);
  const lost = downSince !== undefined;
  return (
    <Banner
      tone="warn"
      icon="warning"
      title={lost ? `The connection to ${url} is lost` : `Cannot connect to ${url}`}
      action={
        <Button icon="retry" disabled={onRetry === undefined} onClick={() => onRetry?.()}>
          Retry now
        </Button>
      }
    >
      {status.phase === 'waiting' ? (
        <>
          {capitalised(status.reason)}. Next attempt in{' '}
          <span className="nums">{secondsUntil(status.retryAt, now)} s</span>.
        </>
      ) : (
        'Trying to connect…'
      )}
      {lost && <span className="nums"> What you see is stale since {formatTime(downSince, now)}.</span>}
    </Banner>
  );
}

const TONES = {
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
};

interface BannerProps {
  tone: keyof typeof TONES;
  icon: IconName;
  title: string;
  children: ReactNode;
  action?: ReactNode;
}

function Banner({ tone, icon, title, children, action }: BannerProps) {
  return (
    <section
      data-testid="banner"
      aria-label="Connection problem"
      className={classNames(
        'flex flex-wrap items-center gap-x-4 gap-y-3 rounded-card px-4 py-3',
        TONES[tone],
      )}
    >
      <div className="flex min-w-0 flex-1 basis-72 gap-3">
        <Icon name={icon} className="mt-0.5" />
        <div className="min-w-0 wrap-anywhere">
          <p className="font-semibold">{title}</p>
          <p className="text-ink">{children}</p>
        </div>
      </div>
      {action}
    </section>
  );
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
