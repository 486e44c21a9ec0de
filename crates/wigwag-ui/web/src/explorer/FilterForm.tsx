/** A line for one more Topic Filter. */
import { useState } from 'react';

import { Button } from '../ui/Button.tsx';
import { TextField } from '../ui/TextField.tsx';
import type { Explorer } from './explorer.ts';
import { filterProblem, withFilter } from './tree/filters.ts';

interface Props {
  explorer: Explorer;
  filters: readonly string[];
  hasFocus?: boolean;
  onDone?: () => void;
}

export function FilterForm({ explorer, filters, hasFocus = false, onDone }: Props) {
  const [text, setText] = useState('');
  const [isSent, setIsSent] = useState(false);
  const problem = filterProblem(text);
  return (
    <form
      className="flex min-w-0 flex-wrap items-start gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        setIsSent(true);
        if (problem !== undefined) return;
        explorer.setFilters(withFilter(filters, text));
        onDone?.();
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onDone?.();
      }}
    >
      <TextField
        label="Topic Filter"
        isMono
        value={text}
        onChange={setText}
        placeholder="plant/+/temperature"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        autoFocus={hasFocus}
        problem={isSent ? problem : undefined}
        className="w-72 max-w-full"
      />
      <Button type="submit" className="mt-6.5">
        Subscribe
      </Button>
    </form>
  );
}
