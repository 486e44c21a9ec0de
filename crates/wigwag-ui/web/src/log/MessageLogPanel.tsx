/** The message log on screen: newest first, only the rows in view are in the document, all payloads as plain text. */
import type { KeyboardEvent } from 'react';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';

import { Button } from '../ui/Button.tsx';
import { classNames } from '../ui/class-names.ts';
import { formatCount, formatTimeMs } from '../ui/format.ts';
import { useStore } from '../ui/frame-store.ts';
import { Icon } from '../ui/icons.tsx';
import { visible } from '../ui/visible.ts';
import type { LogEntry, LogView, MessageLog } from './message-log.ts';
import { MessageDetail } from './MessageDetail.tsx';

/** Below this width a message takes two lines. */
const WIDE_FROM_PX = 640;
const ROW_PX = { wide: 32, narrow: 54 };
/** Rows drawn beyond the visible ones, so that scrolling shows no gaps. */
const SPARE_ROWS = 6;
/** What is drawn before the list knows its height. */
const HEIGHT_FIRST_PX = 320;

export function MessageLogPanel({ log }: { log: MessageLog }) {
  const view = useStore(log);
  const [onlyInvalid, setOnlyInvalid] = useState(false);
  const [selected, setSelected] = useState<LogEntry>();
  const entries = onlyInvalid ? view.entries.filter((entry) => entry.problem !== undefined) : view.entries;
  return (
    <section
      aria-labelledby="log-title"
      data-testid="log"
      className="flex h-128 min-w-0 flex-col overflow-hidden rounded-card border border-line bg-surface shadow-card lg:h-auto lg:min-h-96 lg:grow 2xl:sticky 2xl:top-5 2xl:h-[calc(100dvh-7rem)] 2xl:w-120 2xl:grow-0"
    >
      <header className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line py-2 pr-2 pl-4">
        <h2 id="log-title" className="text-base font-semibold tracking-tight">
          Messages
        </h2>
        <Counts view={view} />
        <div className="ml-auto flex items-center">
          {(view.invalid > 0 || onlyInvalid) && (
            <Button
              look="ghost"
              icon="warning"
              pressed={onlyInvalid}
              onClick={() => {
                setOnlyInvalid(!onlyInvalid);
              }}
            >
              <span className="nums">{formatCount(view.invalid)} invalid</span>
            </Button>
          )}
          <PauseButton view={view} log={log} />
          <Button
            look="ghost"
            icon="trash"
            onClick={() => {
              log.clear();
              setSelected(undefined);
            }}
          >
            Clear
          </Button>
        </div>
      </header>
      <Rows entries={entries} selected={selected} onSelect={setSelected} />
      {selected !== undefined && (
        <MessageDetail
          entry={selected}
          onClose={() => {
            setSelected(undefined);
          }}
        />
      )}
    </section>
  );
}

function Counts({ view }: { view: LogView }) {
  const kept = view.entries.length;
  const text = view.total > kept ? `${formatCount(kept)} of ${formatCount(view.total)}` : formatCount(kept);
  return (
    <span
      data-testid="log-count"
      className="nums text-xs text-ink-faint"
      title="Messages kept, of all since the page was opened"
    >
      {text}
    </span>
  );
}

function PauseButton({ view, log }: { view: LogView; log: MessageLog }) {
  return (
    <Button
      look="ghost"
      icon={view.paused ? 'play' : 'pause'}
      pressed={view.paused}
      onClick={() => {
        if (view.paused) log.resume();
        else log.pause();
      }}
    >
      {view.paused ? <span className="nums">Paused, {formatCount(view.held)} new</span> : 'Pause'}
    </Button>
  );
}

interface RowsProps {
  entries: readonly LogEntry[];
  selected: LogEntry | undefined;
  onSelect: (entry: LogEntry) => void;
}

function Rows({ entries, selected, onSelect }: RowsProps) {
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: HEIGHT_FIRST_PX });
  const [scrollTop, setScrollTop] = useState(0);
  const wide = size.width >= WIDE_FROM_PX;
  const rowPx = wide ? ROW_PX.wide : ROW_PX.narrow;

  useEffect(() => {
    if (box.current === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
    });
    observer.observe(box.current);
    return () => {
      observer.disconnect();
    };
  }, []);

  // Keeps what is being read in place while messages come in above it; at the top, new messages are welcome.
  const newest = entries.at(-1)?.seq;
  const newestBefore = useRef(newest);
  const scrolled = useRef(0);
  useLayoutEffect(() => {
    const before = newestBefore.current;
    newestBefore.current = newest;
    // Not the element's own: to ask it makes the browser lay out the page at once, with every batch of messages.
    if (box.current === null || scrolled.current === 0 || before === undefined) return;
    box.current.scrollTop += addedSince(entries, before) * rowPx;
  }, [entries, newest, rowPx]);

  const first = Math.max(0, Math.floor(scrollTop / rowPx) - SPARE_ROWS);
  const end = Math.min(entries.length, Math.ceil((scrollTop + size.height) / rowPx) + SPARE_ROWS);
  const drawn: LogEntry[] = [];
  for (let index = first; index < end; index++) {
    const entry = entries[entries.length - 1 - index];
    if (entry !== undefined) drawn.push(entry);
  }

  const move = (event: KeyboardEvent): void => {
    const next = neighbour(entries, selected, event.key);
    if (next === undefined) return;
    event.preventDefault();
    onSelect(next);
    reveal(box.current, entries.length - 1 - entries.indexOf(next), rowPx);
  };

  return (
    <div
      ref={box}
      role="listbox"
      aria-label="Messages, newest first"
      aria-activedescendant={selected === undefined ? undefined : rowId(selected)}
      tabIndex={0}
      onKeyDown={move}
      onScroll={(event) => {
        scrolled.current = event.currentTarget.scrollTop;
        setScrollTop(event.currentTarget.scrollTop);
      }}
      className="min-h-0 flex-1 basis-0 overflow-y-auto overscroll-contain outline-offset-[-2px]"
    >
      {entries.length === 0 && <p className="px-4 py-6 text-center text-ink-faint">No messages</p>}
      <div className="relative" style={{ height: entries.length * rowPx }}>
        <div className="absolute inset-x-0" style={{ top: first * rowPx }}>
          {drawn.map((entry) => (
            <Row
              key={entry.seq}
              entry={entry}
              wide={wide}
              selected={entry.seq === selected?.seq}
              onSelect={onSelect}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  entry: LogEntry;
  wide: boolean;
  selected: boolean;
  onSelect: (entry: LogEntry) => void;
}

function Row({ entry, wide, selected, onSelect }: RowProps) {
  const incoming = entry.direction === 'in';
  const invalid = entry.problem !== undefined;
  return (
    <div
      id={rowId(entry)}
      role="option"
      aria-selected={selected}
      onClick={() => {
        onSelect(entry);
      }}
      className={classNames(
        'grid cursor-pointer items-center gap-x-3 border-b border-line/60 px-4 font-mono text-xs',
        wide
          ? 'h-8 grid-cols-[auto_auto_minmax(9rem,14rem)_1fr]'
          : 'h-13.5 grid-cols-[auto_auto_1fr] content-center gap-y-0.5',
        selected ? 'bg-accent-soft' : 'hover:bg-sunken',
      )}
    >
      <span className="nums text-ink-faint">{formatTimeMs(entry.at)}</span>
      <span className={classNames('flex items-center', incoming ? 'text-ink-faint' : 'text-accent')}>
        <Icon name={incoming ? 'down' : 'up'} className="size-3.5" />
        <span className="sr-only">{incoming ? 'received' : 'sent'}</span>
      </span>
      <span className="truncate text-ink-soft">{visible(entry.topic)}</span>
      <span className={classNames('flex min-w-0 items-center gap-1.5', !wide && 'col-span-3')}>
        {invalid && (
          <span
            className="flex shrink-0 items-center gap-1 font-sans font-medium text-warn"
            title={entry.problem}
          >
            <Icon name="warning" className="size-3.5" />
            Invalid
          </span>
        )}
        {entry.retain && <span className="shrink-0 font-sans text-ink-faint">retained</span>}
        {entry.latencyMs !== undefined && (
          <span
            className="nums shrink-0 font-sans text-good"
            title="How long after the command that it answers"
          >
            +{formatCount(entry.latencyMs)} ms
          </span>
        )}
        <span className="truncate text-ink">{preview(entry)}</span>
      </span>
    </div>
  );
}

/** How many entries came after the one with this number. */
function addedSince(entries: readonly LogEntry[], seq: number): number {
  let added = 0;
  while (added < entries.length && (entries[entries.length - 1 - added]?.seq ?? 0) > seq) added++;
  return added;
}

function neighbour(
  entries: readonly LogEntry[],
  selected: LogEntry | undefined,
  key: string,
): LogEntry | undefined {
  const index = entries.findIndex((entry) => entry.seq === selected?.seq);
  switch (key) {
    case 'ArrowDown':
      return index === -1 ? entries.at(-1) : entries[index - 1];
    case 'ArrowUp':
      return entries[index + 1];
    case 'Home':
      return entries.at(-1);
    case 'End':
      return entries[0];
    default:
      return undefined;
  }
}

function reveal(element: HTMLDivElement | null, index: number, rowPx: number): void {
  if (element === null) return;
  const top = index * rowPx;
  const bottom = top + rowPx - element.clientHeight;
  if (element.scrollTop > top) element.scrollTop = top;
  else if (element.scrollTop < bottom) element.scrollTop = bottom;
}

function preview(entry: LogEntry): string {
  return entry.bytes === 0 ? '(empty)' : visible(entry.text.slice(0, 256).replace(/\s+/g, ' '));
}

function rowId(entry: LogEntry): string {
  return `message-${entry.seq}`;
}
