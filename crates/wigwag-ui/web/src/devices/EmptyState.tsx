/** Shown in place of the cards while there are none. */
import { Link, useLocation } from 'react-router';

import type { ConnectionView } from '../mqtt/connection.ts';
import { tabSearch } from '../shell/links.ts';
import { useStation } from '../station.ts';
import { CopyLine } from '../ui/CopyLine.tsx';
import { useNow } from '../ui/clock.ts';
import { Icon } from '../ui/icons.tsx';
import { visibleStart } from '../ui/visible.ts';
import { DemoFleet } from './DemoFleet.tsx';
import { REFRESH_MS } from './health.ts';
import { prefixOf, usePrefixes } from './sources/home-assistant/prefixes.ts';

export function EmptyState({ link }: { link: ConnectionView }) {
  const now = useNow();
  const { status } = link;
  // Retained states arrive right after the connection; a moment's patience avoids a flash of "nothing here".
  const settled = status.phase === 'connected' && now - status.since > REFRESH_MS;
  return settled ? <NothingPublished url={link.url} /> : <Waiting />;
}

function Waiting() {
  return (
    <div className="rounded-card border border-dashed border-line-strong px-6 py-16 text-center text-ink-soft">
      Devices appear here as soon as the broker is reached.
    </div>
  );
}

const PREFIX_CHARS_SHOWN = 100;

function NothingPublished({ url }: { url: string }) {
  const { broker } = useStation();
  const prefix = usePrefixes((state) => prefixOf(state, broker));
  const search = tabSearch(useLocation().search);
  return (
    <section className="mx-auto flex w-full max-w-3xl flex-col items-center gap-4 rounded-card border border-line bg-surface px-5 py-12 text-center shadow-card">
      <span className="grid size-12 place-items-center rounded-full bg-sunken text-ink-soft">
        <Icon name="devices" className="size-6" />
      </span>
      <h2 className="text-lg font-semibold tracking-tight">No device has published yet</h2>
      <p className="max-w-prose text-ink-soft">
        A device appears here with its first message to{' '}
        <code className="font-mono text-xs">device/&lt;id&gt;/state</code>. To see one now, publish a state by
        hand:
      </p>
      <CopyLine text={publishLine(url)} label="Copy the command" />
      <p className="max-w-prose text-ink-soft">
        So does what introduces itself to Home Assistant below{' '}
        <code className="font-mono text-xs wrap-anywhere">{visibleStart(prefix, PREFIX_CHARS_SHOWN)}</code>, a
        prefix{' '}
        <Link to={{ pathname: '/settings', search }} className="text-accent underline">
          of the settings
        </Link>
        , and every edge node of Sparkplug B.
      </p>
      <DemoFleet />
    </section>
  );
}

function publishLine(url: string): string {
  const state = JSON.stringify({
    deviceId: '1',
    status: 'idle',
    temperature: 36.6,
    timestamp: Math.floor(Date.now() / 1000),
  });
  const host = URL.canParse(url) ? new URL(url).hostname : 'localhost';
  return `mosquitto_pub -h ${host} -t device/1/state -r -m '${state}'`;
}
