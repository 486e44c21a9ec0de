/** Shown in place of the cards while there are none. */
import type { ConnectionView } from '../mqtt/connection.ts';
import { CopyLine } from '../ui/CopyLine.tsx';
import { useNow } from '../ui/clock.ts';
import { Icon } from '../ui/icons.tsx';
import { DemoFleet } from './DemoFleet.tsx';
import { REFRESH_MS } from './health.ts';

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

function NothingPublished({ url }: { url: string }) {
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
