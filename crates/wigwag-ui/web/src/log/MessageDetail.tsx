/** One message of the log in full: where it went, how, and its payload, indented when it is JSON. */
import { Button } from '../ui/Button.tsx';
import { formatBytes, formatTimeMs } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import { visible } from '../ui/visible.ts';
import type { LogEntry } from './message-log.ts';

export function MessageDetail({ entry, onClose }: { entry: LogEntry; onClose: () => void }) {
  const text = indented(entry.text);
  return (
    <section
      aria-label="Selected message"
      className="flex max-h-1/2 shrink-0 flex-col border-t border-line bg-sunken"
    >
      <header className="flex items-start gap-3 py-2 pr-2 pl-4">
        <div className="min-w-0 grow">
          <p className="font-mono text-xs wrap-anywhere">{visible(entry.topic)}</p>
          <p className="nums text-xs text-ink-faint">
            {entry.direction === 'in' ? 'Received' : 'Sent'} {formatTimeMs(entry.at)} · QoS {entry.qos}
            {entry.retain && ' · retained'} · {formatBytes(entry.bytes)}
          </p>
        </div>
        <Button look="ghost" icon="close" label="Close the message" onClick={onClose}>
          Close
        </Button>
      </header>
      {entry.problem !== undefined && (
        <p className="flex gap-1.5 px-4 pb-2 text-xs font-medium text-warn">
          <Icon name="warning" className="size-3.5" />
          <span className="min-w-0 wrap-anywhere">Invalid: {entry.problem}</span>
        </p>
      )}
      <pre
        tabIndex={0}
        className="min-h-0 overflow-auto px-4 pb-3 font-mono text-xs wrap-anywhere whitespace-pre-wrap"
      >
        {entry.bytes === 0 ? '(empty)' : text}
        {isCut(entry) && '\n… the rest is not kept'}
      </pre>
    </section>
  );
}

function isCut(entry: LogEntry): boolean {
  return new TextEncoder().encode(entry.text).length < entry.bytes;
}

function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
