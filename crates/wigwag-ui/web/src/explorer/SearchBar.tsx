/** Search in the tree: what, how and where. The tree shows what fits while it is typed; the worker says what is wrong. */
import { useEffect, useId, useRef, useState } from 'react';

import { useStation } from '../station.ts';
import { classNames } from '../ui/class-names.ts';
import { formatCount } from '../ui/format.ts';
import { NO_SEARCH } from './address.ts';
import { CompactSelect } from './CompactSelect.tsx';
import type { Explorer } from './explorer.ts';
import type { Search, SearchKind, SearchPlace, Stats } from './protocol.ts';

const KINDS: readonly (readonly [SearchKind, string])[] = [
  ['text', 'Text'],
  ['filter', 'Filter (+ #)'],
  ['regex', 'Regex'],
];
const PLACES: readonly (readonly [SearchPlace, string])[] = [
  ['both', 'Anywhere'],
  ['topic', 'In topics'],
  ['payload', 'In payloads'],
];

interface Props {
  explorer: Explorer;
  search: Search | undefined;
  problem: string | undefined;
  stats: Stats;
}

export function SearchBar({ explorer, search, problem, stats }: Props) {
  const problemId = useId();
  // The store is seen once per frame, and what is typed must be in its field before the next key.
  const [typed, setTyped] = useState<{ explorer: Explorer; search: Search }>();
  const current = (typed?.explorer === explorer ? typed.search : search) ?? NO_SEARCH;
  useSpokenResult(current, stats);
  const change = (part: Partial<Search>): void => {
    const changed = { ...current, ...part };
    setTyped({ explorer, search: changed });
    explorer.setSearch(changed);
  };
  return (
    <div role="search" className="contents">
      <input
        type="search"
        aria-label="Search topics"
        placeholder="Search"
        value={current.text}
        aria-invalid={problem !== undefined || undefined}
        aria-describedby={problem === undefined ? undefined : problemId}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        onChange={(event) => {
          change({ text: event.target.value });
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') change({ text: '' });
        }}
        className={classNames(
          'h-11 min-w-0 grow basis-28 rounded-lg border bg-surface px-3 text-base md:h-9 md:text-sm pointer-coarse:h-11',
          problem === undefined ? 'border-line-strong' : 'border-bad',
        )}
      />
      <CompactSelect
        label="How to search"
        value={current.kind}
        options={KINDS}
        onChange={(kind) => {
          change({ kind });
        }}
      />
      {current.kind !== 'filter' && (
        <>
          <CompactSelect
            label="Where to search"
            value={current.place}
            options={PLACES}
            onChange={(place) => {
              change({ place });
            }}
          />
          <button
            type="button"
            aria-label="Match case"
            title="Match case"
            aria-pressed={current.matchCase}
            onClick={() => {
              change({ matchCase: !current.matchCase });
            }}
            className={classNames(
              'grid size-11 shrink-0 place-items-center rounded-lg font-medium md:size-9 pointer-coarse:size-11',
              current.matchCase ? 'bg-accent-soft text-accent' : 'text-ink-soft hover:bg-sunken',
            )}
          >
            <span aria-hidden="true">Aa</span>
          </button>
        </>
      )}
      {problem !== undefined && (
        <p id={problemId} role="alert" className="basis-full px-1 text-bad wrap-anywhere">
          {problem}
        </p>
      )}
    </div>
  );
}

/** So long nothing is typed before the count is said: of every letter would be noise. */
const SAID_AFTER_MS = 1_000;

/** What a search has found, once it is through and once only: messages go on to change it. */
function useSpokenResult(search: Search, { found, unsearched }: Stats): void {
  const { announcer } = useStation();
  const said = useRef('');
  const wanted = search.text === '' ? '' : JSON.stringify(search);
  const isThrough = found !== undefined && unsearched === 0;
  useEffect(() => {
    if (wanted === '') said.current = '';
    if (!isThrough || wanted === said.current) return;
    const timer = setTimeout(() => {
      said.current = wanted;
      announcer.say(found === 1 ? '1 topic found' : `${formatCount(found)} topics found`);
    }, SAID_AFTER_MS);
    return () => {
      clearTimeout(timer);
    };
    // The count of the moment when it was through.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [announcer, wanted, isThrough]);
}
