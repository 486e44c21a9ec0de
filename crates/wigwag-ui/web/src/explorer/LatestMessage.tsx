/** The latest message of the topic that is open, as text. */
import { formatBytes, formatCount, formatTimeMs } from '../ui/format.ts';
import { useTopic } from './useTopic.ts';

const utf8 = new TextDecoder();

export function LatestMessage({ topic }: { topic: string }) {
  const { history, total } = useTopic(topic);
  const latest = history.at(-1);
  return (
    <article className="flex flex-col gap-3 rounded-card border border-line bg-surface p-4 shadow-card">
      <h2 data-testid="topic" className="font-mono text-sm font-medium wrap-anywhere">
        {topic}
      </h2>
      {latest === undefined ? (
        <p className="text-ink-soft">No message of this topic has come yet.</p>
      ) : (
        <>
          <p className="nums text-ink-soft">
            {formatTimeMs(latest.at)} · QoS {latest.qos} · {formatBytes(latest.bytes)}
            {latest.retain && ' · retained'} · message {formatCount(latest.seq)} of {formatCount(total)}
          </p>
          <pre className="max-h-128 overflow-auto rounded-lg bg-sunken p-3 font-mono text-xs whitespace-pre-wrap wrap-anywhere">
            {utf8.decode(latest.payload)}
          </pre>
        </>
      )}
    </article>
  );
}
