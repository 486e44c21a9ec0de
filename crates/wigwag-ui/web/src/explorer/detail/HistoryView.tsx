/** The messages of a topic that are kept, newest first; choosing one shows it in the other views. */
import type { KeyboardEvent } from 'react';
import { memo, useId } from 'react';

import type { Message, TopicView } from '../../message/message.ts';
import { previewOf } from '../../message/preview.ts';
import { classNames } from '../../ui/class-names.ts';
import { formatBytes, formatCount, formatTimeMs } from '../../ui/format.ts';
import { formatSpan } from './span.ts';

interface Props {
  view: TopicView;
  selected: Message;
  onSelect: (message: Message) => void;
}

export function HistoryView({ view: { history, total }, selected, onSelect }: Props) {
  const id = useId();
  const move = (event: KeyboardEvent): void => {
    const next = neighbour(history, selected, event.key);
    if (next === undefined) return;
    event.preventDefault();
    onSelect(next);
    document.getElementById(`${id}-${next.seq}`)?.scrollIntoView({ block: 'nearest' });
  };
  return (
    <>
      <p className="nums px-4 py-3 text-ink-soft">
        {history.length === total
          ? `${formatCount(total)} messages, newest first.`
          : `The last ${formatCount(history.length)} of ${formatCount(total)} messages, newest first.`}
      </p>
      <div
        role="listbox"
        aria-label="Messages of this topic, newest first"
        aria-activedescendant={`${id}-${selected.seq}`}
        tabIndex={0}
        onKeyDown={move}
        className="max-h-112 overflow-y-auto overscroll-contain border-t border-line -outline-offset-2"
      >
        {history
          .map((message, index) => (
            <Row
              key={message.seq}
              id={`${id}-${message.seq}`}
              message={message}
              before={history[index - 1]}
              isSelected={message.seq === selected.seq}
              onSelect={onSelect}
            />
          ))
          .reverse()}
      </div>
    </>
  );
}

interface RowProps {
  id: string;
  message: Message;
  before: Message | undefined;
  isSelected: boolean;
  onSelect: (message: Message) => void;
}

const Row = memo(function Row({ id, message, before, isSelected, onSelect }: RowProps) {
  return (
    <div
      id={id}
      role="option"
      aria-selected={isSelected}
      onClick={() => {
        onSelect(message);
      }}
      className={classNames(
        'flex min-h-11 cursor-pointer flex-wrap items-center gap-x-3 border-b border-line/60 px-4 py-1.5 font-mono text-xs sm:min-h-8',
        isSelected ? 'bg-accent-soft' : 'hover:bg-sunken',
      )}
    >
      <span className="nums text-ink-faint">{formatTimeMs(message.at)}</span>
      <span className="nums w-16 text-right text-ink-faint" title="Since the message before">
        {before === undefined ? '' : `+${formatSpan(message.at - before.at)}`}
      </span>
      <span className="nums w-16 text-right text-ink-faint">{formatBytes(message.bytes)}</span>
      <span className="min-w-40 flex-1 truncate">{previewOf(message)}</span>
      {message.retain && <span className="font-sans text-accent">retained</span>}
    </div>
  );
});

function neighbour(history: readonly Message[], selected: Message, key: string): Message | undefined {
  const index = history.findIndex(({ seq }) => seq === selected.seq);
  switch (key) {
    case 'ArrowDown':
      return history[index - 1];
    case 'ArrowUp':
      return history[index + 1];
    case 'Home':
      return history.at(-1);
    case 'End':
      return history[0];
    default:
      return undefined;
  }
}
