/**
 * Where the tree comes from. Either it is the broker's own, or it is made of Topic Filters: given up with a click, added
 * with a line.
 */
import { useState } from 'react';

import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/icons.tsx';
import type { Explorer } from './explorer.ts';
import { FilterForm } from './FilterForm.tsx';
import type { Source } from './protocol.ts';
import { TreeButton } from './TreeButton.tsx';

interface Props {
  explorer: Explorer;
  source: Source;
  filters: readonly string[];
}

export function FilterBar({ explorer, source, filters }: Props) {
  if (source === 'tree') return <OwnTree explorer={explorer} />;
  if (filters.length === 0) return null;
  return <Filters explorer={explorer} filters={filters} />;
}

function OwnTree({ explorer }: { explorer: Explorer }) {
  return (
    <div className="flex flex-wrap items-center gap-2">
      <span className="text-ink-soft">The broker’s own tree</span>
      <Button
        look="ghost"
        onClick={() => {
          explorer.showFilters();
        }}
      >
        Subscribe instead
      </Button>
    </div>
  );
}

function Filters({ explorer, filters }: { explorer: Explorer; filters: readonly string[] }) {
  const [isAdding, setIsAdding] = useState(false);
  return (
    <div className="flex flex-wrap items-center gap-2">
      <ul aria-label="Subscribed to" className="flex min-w-0 flex-wrap gap-2">
        {filters.map((filter) => (
          <li
            key={filter}
            className="flex min-w-0 items-center rounded-full border border-line bg-surface pl-3 font-mono text-xs"
          >
            <span className="truncate">{filter}</span>
            <button
              type="button"
              aria-label={`Unsubscribe from ${filter}`}
              className="grid size-11 place-items-center rounded-full text-ink-faint hover:text-ink md:size-8 pointer-coarse:size-11"
              onClick={() => {
                explorer.setFilters(filters.filter((other) => other !== filter));
              }}
            >
              <Icon name="close" className="size-3.5" />
            </button>
          </li>
        ))}
      </ul>
      {isAdding ? (
        <FilterForm
          explorer={explorer}
          filters={filters}
          hasFocus
          onDone={() => {
            setIsAdding(false);
          }}
        />
      ) : (
        <Button
          look="ghost"
          onClick={() => {
            setIsAdding(true);
          }}
        >
          Add a filter
        </Button>
      )}
      {explorer.hasTree && !isAdding && <TreeButton explorer={explorer} />}
    </div>
  );
}
