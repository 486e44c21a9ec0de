/** What the Explorer shows before there is a filter: it asks, because `#` on a busy broker is not for free. */
import { Button } from '../ui/Button.tsx';
import type { Explorer } from './explorer.ts';
import { FilterForm } from './FilterForm.tsx';
import { TreeButton } from './TreeButton.tsx';

const OFFERED = [
  { filter: '#', about: 'All topics' },
  { filter: '$SYS/#', about: 'What the broker says of itself' },
] as const;

export function FirstFilter({ explorer }: { explorer: Explorer }) {
  return (
    <section
      aria-label="Subscribe"
      className="flex w-full flex-col gap-6 rounded-card border border-line bg-surface p-6 shadow-card"
    >
      <div className="flex flex-col gap-1.5">
        <h2 className="text-lg font-semibold tracking-tight">Which topics do you want to see?</h2>
        <p className="text-ink-soft">
          The tree grows from the messages that arrive. The broker sends each of them here, so on a busy one
          choose no more than you need.
        </p>
      </div>
      <ul className="flex flex-col gap-2">
        {OFFERED.map(({ filter, about }) => (
          <li key={filter} className="flex items-center gap-3">
            <Button
              look="solid"
              className="w-44"
              onClick={() => {
                explorer.setFilters([filter]);
              }}
            >
              Subscribe to {filter}
            </Button>
            <span className="text-ink-soft">{about}</span>
          </li>
        ))}
      </ul>
      <FilterForm explorer={explorer} filters={[]} />
      {explorer.hasTree && (
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-ink-soft">
          <TreeButton explorer={explorer} />
          shows all topics without sending each message here.
        </p>
      )}
    </section>
  );
}
