/** How clearing goes, and the way back for as long as there is one. */
import { Button } from '../ui/Button.tsx';
import { useNow } from '../ui/clock.ts';
import { formatCount } from '../ui/format.ts';
import type { Explorer } from './explorer.ts';
import type { Clearing } from './protocol.ts';

export function ClearBar({ explorer, clearing }: { explorer: Explorer; clearing: Clearing | undefined }) {
  const now = useNow();
  if (clearing === undefined) return null;
  return (
    <div
      data-testid="clearing"
      className="nums flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-sunken px-4 py-2"
    >
      <span className="min-w-0 grow basis-48 wrap-anywhere">{told(clearing)}</span>
      {(clearing.phase === 'clearing' || clearing.phase === 'restoring') && (
        <progress
          aria-label="Progress"
          max={clearing.total}
          value={clearing.done}
          className="h-2 w-24 grow"
        />
      )}
      {clearing.phase === 'clearing' && (
        <Button
          onClick={() => {
            explorer.cancelClearing();
          }}
        >
          Cancel
        </Button>
      )}
      {clearing.phase === 'cleared' && clearing.restorable > 0 && (
        <Button
          icon="retry"
          onClick={() => {
            explorer.undoClearing();
          }}
        >
          Undo ({Math.max(0, Math.ceil((clearing.undoUntil - now) / 1_000))} s)
        </Button>
      )}
      {clearing.failed > 0 && (
        <span className="basis-full text-warn wrap-anywhere">
          {formatCount(clearing.failed)} failed, the first because: {clearing.reason}
        </span>
      )}
    </div>
  );
}

function told(clearing: Clearing): string {
  const good = formatCount(clearing.done - clearing.failed);
  const all = formatCount(clearing.total);
  switch (clearing.phase) {
    case 'clearing':
      return `Clearing ${good} of ${all}`;
    case 'restoring':
      return `Publishing again ${good} of ${all}`;
    case 'cleared':
      return `Cleared ${good} of ${all} retained messages`;
    case 'restored':
      return clearing.skipped === 0
        ? `Published ${good} again`
        : `Published ${good} again; ${formatCount(clearing.skipped)} were replaced, expired or too large`;
  }
}
