/** What narrows the list of devices: search, facets with the number each would leave, and how the list is shown. */
import { useId } from 'react';

import { classNames } from '../ui/class-names.ts';
import { Choice } from '../ui/Choice.tsx';
import { formatCount } from '../ui/format.ts';
import { SelectField } from '../ui/SelectField.tsx';
import type { DeviceList, ListQuery } from './device-list.ts';
import { HEALTH_KINDS, STATUSES, TAGS_COUNTED_MAX } from './device-list.ts';
import type { Health } from './health.ts';
import { SOURCES } from './model.ts';

export const VIEWS = [
  { value: 'cards', name: 'Cards' },
  { value: 'table', name: 'Table' },
] as const;
export type View = (typeof VIEWS)[number]['value'];

const HEALTH_NAMES: Record<Health['kind'], string> = {
  online: 'Online',
  offline: 'Offline',
  stale: 'Stale',
  'cut-off': 'Not connected',
  unknown: 'No presence',
};
const STATUS_NAMES = { running: 'Running', idle: 'Idle' };
const SOURCE_NAMES = { contract: 'Wigwag', 'home-assistant': 'Home Assistant', sparkplug: 'Sparkplug' };
/** Of more tags, the others are found by the search. */
const TAGS_MAX = 200;

export type ListParameter = 'q' | 'health' | 'status' | 'source' | 'tag' | 'view' | 'sort';

interface Props {
  list: DeviceList;
  query: ListQuery;
  view: View;
  /** Undefined takes the parameter out of the address. */
  onChange: (parameter: ListParameter, value: string | undefined) => void;
}

export function ListControls({ list, query, view, onChange }: Props) {
  const id = useId();
  return (
    <div role="search" aria-label="Devices" className="flex flex-wrap items-end gap-x-4 gap-y-3">
      <div className="flex min-w-0 grow flex-col gap-1.5 sm:max-w-72">
        <label htmlFor={id} className="font-medium">
          Search
        </label>
        <input
          id={id}
          type="search"
          placeholder="Part of a name or tag"
          autoComplete="off"
          spellCheck={false}
          value={query.text}
          onChange={(event) => {
            onChange('q', event.target.value === '' ? undefined : event.target.value);
          }}
          className="h-11 w-full min-w-0 rounded-lg border border-line-strong bg-surface px-3 text-base md:h-9 md:text-sm pointer-coarse:h-11"
        />
      </div>
      <Facet
        label="Health"
        options={HEALTH_KINDS.map((kind) => ({
          value: kind,
          name: HEALTH_NAMES[kind],
          count: list.health.get(kind) ?? 0,
        }))}
        chosen={query.health}
        onChoose={(value) => {
          onChange('health', value);
        }}
      />
      <Facet
        label="Status"
        options={STATUSES.map((status) => ({
          value: status,
          name: STATUS_NAMES[status],
          count: list.status.get(status) ?? 0,
        }))}
        chosen={query.status}
        onChoose={(value) => {
          onChange('status', value);
        }}
      />
      {(list.source.size > 1 || query.source !== undefined) && (
        <Facet
          label="Source"
          options={SOURCES.map((source) => ({
            value: source,
            name: SOURCE_NAMES[source],
            count: list.source.get(source) ?? 0,
          }))}
          chosen={query.source}
          onChoose={(value) => {
            onChange('source', value);
          }}
        />
      )}
      {(list.tag.size > 0 || query.tag !== undefined) && (
        <TagField
          counts={list.tag}
          chosen={query.tag}
          onChoose={(value) => {
            onChange('tag', value);
          }}
        />
      )}
      <div className="sm:ml-auto">
        <Choice
          label="Shown as"
          value={view}
          options={VIEWS}
          onChange={(value) => {
            onChange('view', value === 'cards' ? undefined : value);
          }}
        />
      </div>
    </div>
  );
}

interface TagFieldProps {
  counts: ReadonlyMap<string, number>;
  chosen: string | undefined;
  onChoose: (tag: string | undefined) => void;
}

/** There may be many, so they have a list of their own. */
function TagField({ counts, chosen, onChoose }: TagFieldProps) {
  const tags = [...counts.keys()].sort((a, b) => naturally.compare(a, b));
  const shown = tags.slice(0, TAGS_MAX);
  if (chosen !== undefined && !shown.includes(chosen)) shown.unshift(chosen);
  const beyond = tags.length - TAGS_MAX;
  const options = shown.map((tag) => ({
    value: `=${tag}`,
    name: `${tag} (${formatCount(counts.get(tag) ?? 0)})`,
  }));
  return (
    <SelectField
      label="Tag"
      className="max-w-56"
      value={chosen === undefined ? '' : `=${chosen}`}
      options={[{ value: '', name: anyOf(counts.size, beyond) }, ...options]}
      onChange={(value) => {
        onChoose(value === '' ? undefined : value.slice(1));
      }}
    />
  );
}

function anyOf(count: number, beyond: number): string {
  if (beyond <= 0) return 'Any';
  const atLeast = count >= TAGS_COUNTED_MAX ? 'at least ' : '';
  return `Any (${atLeast}${formatCount(beyond)} more by search)`;
}

const naturally = new Intl.Collator('en', { numeric: true });

interface FacetProps<Value extends string> {
  label: string;
  options: readonly { value: Value; name: string; count: number }[];
  chosen: Value | undefined;
  onChoose: (value: Value | undefined) => void;
}

/** One of them, or none: pressed again, it lets go. */
function Facet<Value extends string>({ label, options, chosen, onChoose }: FacetProps<Value>) {
  const id = useId();
  const shown = options.filter(({ value, count }) => count > 0 || value === chosen);
  if (shown.length === 0) return null;
  return (
    <div role="group" aria-labelledby={id} className="flex min-w-0 flex-col gap-1.5">
      <span id={id} className="font-medium">
        {label}
      </span>
      <div className="flex flex-wrap gap-1.5">
        {shown.map(({ value, name, count }) => (
          <button
            key={value}
            type="button"
            aria-pressed={value === chosen}
            onClick={() => {
              onChoose(value === chosen ? undefined : value);
            }}
            className={classNames(
              'flex h-11 items-center gap-2 rounded-lg border px-3 md:h-9 pointer-coarse:h-11',
              value === chosen
                ? 'border-accent bg-accent-soft text-accent'
                : 'border-line-strong bg-surface hover:bg-sunken',
            )}
          >
            {name} <span className="nums text-xs">{formatCount(count)}</span>
          </button>
        ))}
      </div>
    </div>
  );
}
