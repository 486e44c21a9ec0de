/** Search in the tree: what, how and where. The tree shows what fits while it is typed. */
import { useId } from 'react';

import { classNames } from '../ui/class-names.ts';
import { NO_SEARCH } from './address.ts';
import type { Explorer } from './explorer.ts';
import type { Search, SearchKind, SearchPlace } from './protocol.ts';
import { searchProblem } from './tree/search.ts';

const KINDS: readonly (readonly [SearchKind, string])[] = [
  ['text', 'Text'],
  ['filter', 'Filter (+ #)'],
  ['regex', 'Regex'],
];
const PLACES: readonly (readonly [SearchPlace, string])[] = [
  ['both', 'Topic and payload'],
  ['topic', 'Topic'],
  ['payload', 'Payload'],
];

export function SearchBar({ explorer, search }: { explorer: Explorer; search: Search | undefined }) {
  const problemId = useId();
  const current = search ?? NO_SEARCH;
  const problem = current.text === '' ? undefined : searchProblem(current);
  const change = (part: Partial<Search>): void => {
    explorer.setSearch({ ...current, ...part });
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
          'h-11 min-w-0 grow basis-40 rounded-lg border bg-surface px-3 text-base md:h-9 md:text-sm pointer-coarse:h-11',
          problem === undefined ? 'border-line-strong' : 'border-bad',
        )}
      />
      <Select
        label="How to search"
        value={current.kind}
        options={KINDS}
        onChange={(kind) => {
          change({ kind });
        }}
      />
      {current.kind !== 'filter' && (
        <>
          <Select
            label="Where to search"
            value={current.place}
            options={PLACES}
            onChange={(place) => {
              change({ place });
            }}
          />
          <label className="flex h-11 items-center gap-1.5 px-1 whitespace-nowrap md:h-9">
            <input
              type="checkbox"
              checked={current.matchCase}
              className="size-4 accent-accent"
              onChange={(event) => {
                change({ matchCase: event.target.checked });
              }}
            />
            Match case
          </label>
        </>
      )}
      {problem !== undefined && (
        <p id={problemId} className="basis-full text-bad wrap-anywhere">
          {problem}
        </p>
      )}
    </div>
  );
}

interface SelectProps<Value extends string> {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange: (value: Value) => void;
}

function Select<Value extends string>({ label, value, options, onChange }: SelectProps<Value>) {
  return (
    <select
      aria-label={label}
      value={value}
      onChange={(event) => {
        const option = options.find(([one]) => one === event.target.value);
        if (option !== undefined) onChange(option[0]);
      }}
      className="h-11 min-w-0 rounded-lg border border-line-strong bg-surface px-2 md:h-9 pointer-coarse:h-11"
    >
      {options.map(([one, name]) => (
        <option key={one} value={one}>
          {name}
        </option>
      ))}
    </select>
  );
}
