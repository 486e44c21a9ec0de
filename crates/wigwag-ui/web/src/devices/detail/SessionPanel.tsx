/** The connection behind a device, as its broker tells of it: who it is, how it is connected, what waits for it. */
import type { ReactNode } from 'react';
import { useEffect, useMemo } from 'react';

import type { Ask } from '../../api.ts';
import type { ClientFacts } from '../../clients/client-facts.ts';
import { clientsOf } from '../../clients/client-facts.ts';
import type { WatchView } from '../../clients/client-watch.ts';
import { ClientWatch } from '../../clients/client-watch.ts';
import { askerOf } from '../../session.ts';
import { useStation } from '../../station.ts';
import { useNow } from '../../ui/clock.ts';
import { formatAge, formatAgo, formatBytes, formatCount, formatTime } from '../../ui/format.ts';
import { useStore, useStoreValue } from '../../ui/frame-store.ts';
import { visibleStart } from '../../ui/visible.ts';
import type { Device } from '../model.ts';
import { filtersOf } from '../model.ts';

/** The longest name that is shown whole. */
const NAME_CHARS_MAX = 256;
const SECOND_MS = 1_000;

/** Nothing with a broker that does not tell, or for a device that leaves no Will. */
export function SessionPanel({ device }: { device: Device }) {
  const station = useStation();
  const ask = useMemo(() => askerOf(station), [station]);
  const topics = filtersOf(device, 'availability').filter((filter) => !/[+#]/.test(filter));
  if (ask === undefined || topics.length === 0) return null;
  return <Watched key={topics.join('\n')} ask={ask} topics={topics.join('\n')} />;
}

function Watched({ ask, topics }: { ask: Ask; topics: string }) {
  const station = useStation();
  const watch = useMemo(() => new ClientWatch(topics.split('\n'), clientsOf(ask)), [ask, topics]);
  const view = useStore(watch);
  const isConnected = useStoreValue(station.connection, ({ status }) => status.phase === 'connected');
  useEffect(() => (isConnected ? watch.watch() : undefined), [watch, isConnected]);
  const now = useNow();
  return (
    <section
      aria-labelledby="session-title"
      className="flex min-w-0 flex-col gap-3 rounded-card border border-line bg-surface p-4 shadow-card"
    >
      <h2 id="session-title" className="text-base font-semibold tracking-tight">
        Session
      </h2>
      {view.clients.map((client) => (
        <Client key={client.id} client={client} now={now} />
      ))}
      <p className="nums text-xs text-ink-faint" data-session-note>
        {noteOf(view, topics.split('\n'), now)}
      </p>
    </section>
  );
}

function Client({ client, now }: { client: ClientFacts; now: number }) {
  const { connection, subscriptions, subscriptionsBeyond } = client;
  const count = subscriptions.length + subscriptionsBeyond;
  return (
    <div data-client={client.id} className="flex flex-col gap-3">
      <dl className="nums grid grid-cols-[repeat(auto-fill,minmax(min(100%,9rem),1fr))] gap-x-6 gap-y-3">
        <Fact name="Client Identifier">
          <span className="font-mono text-xs">{visibleStart(client.id, NAME_CHARS_MAX)}</span>
        </Fact>
        <Fact name={connection === undefined ? 'Away since' : 'Connected since'}>
          {client.since === undefined
            ? 'before the broker’s start'
            : `${formatTime(client.since, now)} (${formatAgo(Math.max(0, now - client.since))})`}
        </Fact>
        <Fact name="User">
          {client.user === undefined ? 'anonymous' : visibleStart(client.user, NAME_CHARS_MAX)}
        </Fact>
        {client.address !== undefined && <Fact name="Address">{client.address}</Fact>}
        {client.listener !== undefined && <Fact name="Listener">{client.listener}</Fact>}
        {connection !== undefined && (
          <>
            <Fact name="Protocol">
              MQTT {connection.protocol}
              {client.isBridge && ', a bridge'}
            </Fact>
            <Fact name="Keep Alive">
              {connection.keepAliveSecs === 0 ? 'off' : `${formatCount(connection.keepAliveSecs)} s`}
            </Fact>
          </>
        )}
        <Fact name="Session">{sessionText(client, now)}</Fact>
        <Fact name="Waiting">
          {formatCount(client.queued)} queued, {formatCount(client.inFlight)} in flight
          {client.bytes > 0 && ` (${formatBytes(client.bytes)})`}
        </Fact>
        <Fact name="Lost messages" isBad={client.dropped > 0}>
          {formatCount(client.dropped)}
        </Fact>
        {connection !== undefined && connection.unreadBytes > 0 && (
          <Fact name="Not taken yet" isBad>
            {formatBytes(connection.unreadBytes)}
          </Fact>
        )}
      </dl>
      {count > 0 && (
        <details className="group">
          <summary className="flex min-h-11 cursor-pointer items-center font-medium md:min-h-6">
            {formatCount(count)} {count === 1 ? 'subscription' : 'subscriptions'}
          </summary>
          <ul className="max-h-48 overflow-y-auto font-mono text-xs" tabIndex={0} aria-label="Subscriptions">
            {subscriptions.map(({ filter, qos }) => (
              <li key={filter} className="flex gap-3 border-t border-line py-1 first:border-t-0">
                <span className="min-w-0 grow wrap-anywhere">{visibleStart(filter, NAME_CHARS_MAX)}</span>
                <span className="nums shrink-0 text-ink-faint">QoS {qos}</span>
              </li>
            ))}
            {subscriptionsBeyond > 0 && <li className="py-1">and {formatCount(subscriptionsBeyond)} more</li>}
          </ul>
        </details>
      )}
    </div>
  );
}

interface FactProps {
  name: string;
  isBad?: boolean;
  children: ReactNode;
}

function Fact({ name, isBad = false, children }: FactProps) {
  return (
    <div className="min-w-0" data-fact={name}>
      <dt className="text-xs text-ink-faint">{name}</dt>
      <dd className={isBad ? 'font-medium text-bad wrap-anywhere' : 'wrap-anywhere'}>{children}</dd>
    </div>
  );
}

function sessionText({ connection, expirySecs, endsAt }: ClientFacts, now: number): string {
  if (endsAt !== undefined) return `ends in ${formatAge(Math.max(0, endsAt - now))}`;
  if (expirySecs === undefined) return 'stays for ever';
  if (expirySecs === 0) return 'ends with the connection';
  const kept = formatAge(expirySecs * SECOND_MS);
  return connection === undefined ? `kept for ${kept}` : `kept for ${kept} when the device is away`;
}

function noteOf({ clients, beyond, at, problem }: WatchView, topics: readonly string[], now: number): string {
  const more = beyond === 0 ? '' : `${formatCount(beyond)} more clients are not shown. `;
  if (problem !== undefined) {
    const last = at === undefined ? '' : ` What is shown is of ${formatTime(at, now)}.`;
    return `${more}The broker does not tell: ${problem}.${last}`;
  }
  if (at === undefined) return 'Asking the broker…';
  if (clients.length > 0) return `${more}Found by the topic of its Will, as of ${formatTime(at, now)}.`;
  const place = visibleStart(topics[0] ?? '', NAME_CHARS_MAX);
  return `No client that you may know of has its Will at ${place}.`;
}
