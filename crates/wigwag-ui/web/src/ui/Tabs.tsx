/** Views of one thing, of which one is shown. Arrow keys go from one to the next; one stop for the tab key. */
import type { KeyboardEvent, ReactNode } from 'react';
import { useId, useRef } from 'react';

import { classNames } from './class-names.ts';

interface Props<Value extends string> {
  label: string;
  value: Value;
  tabs: readonly { value: Value; name: ReactNode }[];
  onChange: (value: Value) => void;
  children: ReactNode;
}

export function Tabs<Value extends string>({ label, value, tabs, onChange, children }: Props<Value>) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent): void => {
    const next = tabs[neighbour(event.key, indexOf(tabs, value), tabs.length)];
    if (next === undefined) return;
    event.preventDefault();
    onChange(next.value);
    list.current?.querySelector<HTMLElement>(`[data-tab="${next.value}"]`)?.focus();
  };
  return (
    <div className="flex min-w-0 flex-col">
      <div
        ref={list}
        role="tablist"
        aria-label={label}
        onKeyDown={move}
        className="flex gap-1 overflow-x-auto border-b border-line px-2"
      >
        {tabs.map((tab) => (
          <button
            key={tab.value}
            id={`${id}-${tab.value}`}
            type="button"
            role="tab"
            data-tab={tab.value}
            aria-selected={tab.value === value}
            aria-controls={`${id}-panel`}
            tabIndex={tab.value === value ? 0 : -1}
            onClick={() => {
              onChange(tab.value);
            }}
            className={classNames(
              'flex h-11 items-center gap-1.5 border-b-2 px-3 font-medium whitespace-nowrap -outline-offset-2',
              tab.value === value
                ? 'border-accent text-ink'
                : 'border-transparent text-ink-soft hover:text-ink',
            )}
          >
            {tab.name}
          </button>
        ))}
      </div>
      <div id={`${id}-panel`} role="tabpanel" aria-labelledby={`${id}-${value}`} className="min-w-0">
        {children}
      </div>
    </div>
  );
}

function indexOf<Value>(tabs: readonly { value: Value }[], value: Value): number {
  return tabs.findIndex((tab) => tab.value === value);
}

/** -1 where the key is none of a list of tabs. */
function neighbour(key: string, index: number, count: number): number {
  switch (key) {
    case 'ArrowRight':
      return (index + 1) % count;
    case 'ArrowLeft':
      return (index + count - 1) % count;
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return -1;
  }
}
