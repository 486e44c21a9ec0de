/**
 * The rows of the tree that are in view. The worker says what they are and where the cursor is; keys and clicks go to it.
 * A tree by the habits of WAI-ARIA: one stop for the tab key, arrows, Home, End, letters, `*`, Enter, Delete.
 */
import type { KeyboardEvent, ReactNode, RefObject } from 'react';
import { useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from 'react';

import { classNames } from '../ui/class-names.ts';
import { formatBytes, formatCount } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import type { Explorer } from './explorer.ts';
import { formatRate } from './figures.ts';
import type { Place, Row, Rows, Stats, Step } from './protocol.ts';
import { visible } from '../ui/visible.ts';

const ROW_PX = { fine: 28, coarse: 44 };
const INDENT_PX = 16;
/** Beyond this level rows are indented no further. */
const INDENTS_MAX = 12;
const SPARE_ROWS = 12;
/** Messages per second; slower ones are not worth a figure. */
const RATE_SHOWN_MIN = 0.05;
/** So long letters make one name. */
const TYPING_MS = 700;

interface Props {
  explorer: Explorer;
  rows: Rows;
  /** What is open beside the tree. */
  topic: string | undefined;
  isStale: boolean;
  onOpen: (place: Place) => void;
  onClear: (path: string) => void;
}

export function TreeRows({ explorer, rows, topic, isStale, onOpen, onClear }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const rowPx = useIsCoarse() ? ROW_PX.coarse : ROW_PX.fine;
  const view = useScrolledRows(box, rowPx);
  const { first, count } = view;
  useEffect(() => {
    explorer.setWindow(first, count);
  }, [explorer, first, count]);
  useEffect(
    () => () => {
      explorer.setWindow(0, 0);
    },
    [explorer],
  );
  const cursor = rows.cursor;
  useCursorInView(box, cursor, rowPx);
  const typed = useRef({ text: '', at: 0 });

  const actAt = async (act: (place: Place) => void): Promise<void> => {
    const place = await explorer.where();
    if (place !== undefined) act(place);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter') void actAt(onOpen);
    else if (event.key === 'Delete')
      void actAt(({ path }) => {
        onClear(path);
      });
    else {
      const step = stepOf(event.key, Math.max(1, view.fitting - 1)) ?? typedStep(event, typed.current);
      if (step === undefined) return;
      explorer.walk(step);
    }
    event.preventDefault();
  };

  return (
    <div
      ref={box}
      role="tree"
      aria-label="Topics"
      aria-activedescendant={isDrawn(rows, cursor?.index) ? rowId(cursor?.index) : undefined}
      tabIndex={0}
      data-testid="tree"
      onKeyDown={press}
      onFocus={() => {
        if (cursor === undefined) explorer.walk({ kind: 'first' });
      }}
      className="group/tree relative min-h-0 grow overflow-x-hidden overflow-y-auto overscroll-contain outline-offset-[-2px]"
    >
      <div role="none" className="relative" style={{ height: rows.total * rowPx }}>
        <div
          role="none"
          className={classNames('absolute inset-x-0', isStale && 'opacity-60')}
          style={{ top: rows.first * rowPx }}
        >
          {rows.rows.map((row, index) => (
            <TreeRow
              key={row.path}
              row={row}
              id={rowId(rows.first + index)}
              px={rowPx}
              hasCursor={row.path === cursor?.path}
              isSelected={row.path === topic}
              onToggle={() => {
                explorer.toggle(row.path);
              }}
              onOpen={() => {
                explorer.putCursor(row.path);
                onOpen({ path: row.path, isTopic: row.preview !== undefined });
              }}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

interface TreeRowProps {
  row: Row;
  id: string | undefined;
  px: number;
  hasCursor: boolean;
  isSelected: boolean;
  onToggle: () => void;
  onOpen: () => void;
}

function TreeRow({ row, id, px, hasCursor, isSelected, onToggle, onOpen }: TreeRowProps) {
  const isBranch = row.isOpen !== undefined;
  const isTopic = row.preview !== undefined;
  return (
    <div
      id={id}
      role="treeitem"
      aria-level={row.level}
      aria-setsize={row.setSize}
      aria-posinset={row.position}
      aria-expanded={row.isOpen}
      aria-selected={isSelected}
      onClick={isTopic ? onOpen : onToggle}
      style={{ height: px, paddingLeft: 8 + Math.min(row.level - 1, INDENTS_MAX) * INDENT_PX }}
      className={classNames(
        'flex cursor-pointer items-center gap-1.5 pr-3 whitespace-nowrap',
        isSelected ? 'bg-accent-soft' : 'hover:bg-sunken',
        hasCursor && 'group-focus-visible/tree:inset-ring-2 group-focus-visible/tree:inset-ring-accent',
      )}
    >
      <span
        className="grid h-full w-5 shrink-0 place-items-center text-ink-faint"
        onClick={(event) => {
          if (!isBranch) return;
          event.stopPropagation();
          onToggle();
        }}
      >
        {isBranch && <Icon name={row.isOpen === true ? 'unfolded' : 'folded'} className="size-3.5" />}
      </span>
      <bdi className={classNames('max-w-3/5 shrink-0 truncate', isTopic ? 'font-medium' : 'text-ink-soft')}>
        {row.name === '' ? <Empty>empty level</Empty> : visible(row.name)}
      </bdi>
      {row.isRetained && (
        <span
          title="The broker has a retained message"
          className="shrink-0 rounded border border-line-strong px-1 text-[0.625rem] leading-4 font-medium text-ink-soft"
        >
          <span aria-hidden="true">R</span>
          <span className="sr-only">, retained</span>
        </span>
      )}
      <span className="min-w-0 grow truncate font-mono text-xs text-ink-soft">
        {isTopic && <span className="sr-only">, </span>}
        <bdi>
          {row.preview === '' ? <Empty>no payload</Empty> : visible((row.preview ?? '').replace(/\s+/g, ' '))}
        </bdi>
      </span>
      <span className="nums shrink-0 text-xs text-ink-faint">
        {isBranch && row.topics > 1 && (
          <>
            <span className="sr-only">, </span>
            {formatCount(row.topics)} topics
          </>
        )}
        {/* Not to be said again with each message. */}
        <span aria-hidden="true">{row.rate >= RATE_SHOWN_MIN && ` ${formatRate(row.rate)}`}</span>
      </span>
    </div>
  );
}

function Empty({ children }: { children: ReactNode }) {
  return <span className="font-sans text-ink-faint italic">{children}</span>;
}

/** The tree's figures: all of them, and what is beyond its bounds. */
export function TreeFigures({ stats }: { stats: Stats }) {
  const { messages, topics, rate, keptBytes, beyond, lost, found, unsearched } = stats;
  const parts = [
    `${formatCount(topics)} topics`,
    `${formatCount(messages)} messages`,
    formatRate(rate),
    `${formatBytes(keptBytes)} kept`,
  ];
  if (found !== undefined) parts.unshift(`${formatCount(found)} found`);
  if (unsearched > 0) parts.unshift(`${formatCount(unsearched)} to be searched`);
  return (
    <p data-testid="tree-figures" className="nums border-t border-line px-4 py-2 text-xs text-ink-faint">
      {parts.join(' · ')}
      {beyond > 0 && (
        <span className="text-warn">
          {' '}
          · {formatCount(beyond)} messages of further topics are counted only: the tree is full
        </span>
      )}
      {lost > 0 && (
        <span className="text-warn">
          {' '}
          · {formatCount(lost)} messages came too fast for the broker to count
        </span>
      )}
    </p>
  );
}

/** Which rows are in view, and a few more. */
function useScrolledRows(box: RefObject<HTMLDivElement | null>, rowPx: number) {
  const [range, setRange] = useState({ top: 0, height: 0 });
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const measure = (): void => {
      setRange({ top: Math.floor(element.scrollTop / rowPx), height: element.clientHeight });
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, [box, rowPx]);
  const fitting = Math.floor(range.height / rowPx);
  const first = Math.max(0, range.top - SPARE_ROWS);
  return { first, fitting, count: range.height === 0 ? 0 : fitting + 2 * SPARE_ROWS + 1 };
}

/** Scrolls when the cursor has moved, and not when rows above it have come or gone. */
function useCursorInView(box: RefObject<HTMLDivElement | null>, cursor: Rows['cursor'], rowPx: number): void {
  const shown = useRef<string>(undefined);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || cursor === undefined || shown.current === cursor.path) return;
    shown.current = cursor.path;
    const top = cursor.index * rowPx;
    const bottom = top + rowPx - element.clientHeight;
    if (element.scrollTop > top) element.scrollTo({ top });
    else if (element.scrollTop < bottom) element.scrollTo({ top: bottom });
  }, [box, cursor, rowPx]);
}

const PAGE_KEYS = new Set([' ', '/', '?', '.']);

const COARSE = '(width < 48rem), (pointer: coarse)';

function useIsCoarse(): boolean {
  return useSyncExternalStore(
    (listener) => {
      const query = window.matchMedia(COARSE);
      query.addEventListener('change', listener);
      return () => {
        query.removeEventListener('change', listener);
      };
    },
    () => window.matchMedia(COARSE).matches,
  );
}

function stepOf(key: string, pageRows: number): Step | undefined {
  switch (key) {
    case 'ArrowDown':
      return { kind: 'by', rows: 1 };
    case 'ArrowUp':
      return { kind: 'by', rows: -1 };
    case 'PageDown':
      return { kind: 'by', rows: pageRows };
    case 'PageUp':
      return { kind: 'by', rows: -pageRows };
    case 'Home':
      return { kind: 'first' };
    case 'End':
      return { kind: 'last' };
    case 'ArrowRight':
      return { kind: 'in' };
    case 'ArrowLeft':
      return { kind: 'out' };
    case '*':
      return { kind: 'open-siblings' };
    default:
      return undefined;
  }
}

/** A letter goes to the next name that begins with it; the keys of the page, such as `/`, stay theirs. */
function typedStep(event: KeyboardEvent, typed: { text: string; at: number }): Step | undefined {
  if (event.key.length !== 1 || PAGE_KEYS.has(event.key)) return undefined;
  typed.text = event.timeStamp - typed.at > TYPING_MS ? event.key : typed.text + event.key;
  typed.at = event.timeStamp;
  return { kind: 'type', text: typed.text };
}

function isDrawn({ first, rows }: Rows, index: number | undefined): boolean {
  return index !== undefined && index >= first && index < first + rows.length;
}

function rowId(index: number | undefined): string | undefined {
  return index === undefined ? undefined : `topic-row-${index}`;
}
