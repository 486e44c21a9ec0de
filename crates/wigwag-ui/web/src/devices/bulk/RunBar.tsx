/** How a command to many devices goes: progress, what became of it in numbers, and the ways to end it. */
import { lazy, Suspense, useState } from 'react';

import { useStation } from '../../station.ts';
import { Button } from '../../ui/Button.tsx';
import { formatCount } from '../../ui/format.ts';
import { useStore, useStoreValue } from '../../ui/frame-store.ts';
import type { ResultKind, RunView } from './bulk-store.ts';
import { RESULT_KINDS } from './bulk-store.ts';
import { WORDS } from './words.ts';

const ResultsDialog = lazy(async () => ({ default: (await import('./ResultsDialog.tsx')).ResultsDialog }));

/** What is over and what is still under way. */
const OPEN: readonly ResultKind[] = ['waiting', 'pending'];

export function RunBar() {
  const { bulk, connection } = useStation();
  const run = useStore(bulk);
  const [isOpen, setIsOpen] = useState(false);
  const isConnected = useStoreValue(connection, ({ status }) => status.phase === 'connected');
  if (run === undefined) return null;
  const isOver = run.phase === 'done' || run.phase === 'cancelled';
  const total = run.steps.length;
  const open = OPEN.reduce((sum, kind) => sum + (run.counts.get(kind) ?? 0), 0);
  return (
    <section
      aria-label="Progress"
      data-testid="run"
      data-phase={run.phase}
      className="nums flex flex-wrap items-center gap-x-3 gap-y-2 rounded-card border border-line bg-surface px-4 py-2 shadow-card"
    >
      <p className="min-w-0 grow basis-56 wrap-anywhere">
        <strong className="font-semibold">{run.name}</strong> · {headline(run)}
        <span className="text-ink-soft"> · {summary(run)}</span>
      </p>
      {!isOver && (
        <progress
          aria-label="Progress"
          max={total}
          value={total - open}
          className="h-2 w-32 grow accent-accent"
        />
      )}
      <div className="flex flex-wrap gap-2">
        {run.phase === 'sending' && (
          <Button
            icon="pause"
            onClick={() => {
              bulk.pause();
            }}
          >
            Hold
          </Button>
        )}
        {run.phase === 'paused' && (
          <Button
            look="solid"
            icon="play"
            disabled={!isConnected}
            onClick={() => {
              bulk.resume();
            }}
          >
            Go on
          </Button>
        )}
        {!isOver && (
          <Button
            icon="stop"
            onClick={() => {
              bulk.cancel();
            }}
          >
            Cancel the rest
          </Button>
        )}
        <Button
          onClick={() => {
            setIsOpen(true);
          }}
        >
          Results
        </Button>
        {isOver && (
          <Button
            look="ghost"
            icon="close"
            onClick={() => {
              bulk.dismiss();
            }}
          >
            Dismiss
          </Button>
        )}
      </div>
      {isOpen && (
        <Suspense fallback={null}>
          <ResultsDialog
            run={run}
            onClose={() => {
              setIsOpen(false);
            }}
          />
        </Suspense>
      )}
    </section>
  );
}

function headline({ phase, reason, steps, counts }: RunView): string {
  const total = formatCount(steps.length);
  const sent = formatCount(steps.length - (counts.get('waiting') ?? 0) - (counts.get('not-sent') ?? 0));
  switch (phase) {
    case 'sending':
      return `${sent} of ${total} sent`;
    case 'paused':
      return `held at ${sent} of ${total}${reason === undefined ? '' : `: ${reason}`}`;
    case 'settling':
      return `all ${total} sent, waiting for answers`;
    case 'done':
      return `done with ${total}`;
    case 'cancelled':
      return `cancelled at ${sent} of ${total}`;
  }
}

function summary({ counts, unable }: RunView): string {
  const parts = RESULT_KINDS.filter((kind) => kind !== 'waiting' && (counts.get(kind) ?? 0) > 0).map(
    (kind) => `${formatCount(counts.get(kind) ?? 0)} ${WORDS[kind]}`,
  );
  if (unable.length > 0) parts.push(`${formatCount(unable.length)} not possible`);
  return parts.length === 0 ? 'nothing sent yet' : parts.join(' · ');
}
