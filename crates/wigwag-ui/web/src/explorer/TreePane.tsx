/** The tree with all that goes with it: search, pause, what is wrong, what can be done with a branch. */
import { useEffect, useState } from 'react';

import { DemoFleet } from '../devices/DemoFleet.tsx';
import { useStation } from '../station.ts';
import { Button } from '../ui/Button.tsx';
import { formatBytes, formatCount } from '../ui/format.ts';
import { useStore, useStoreValue } from '../ui/frame-store.ts';
import { Icon } from '../ui/icons.tsx';
import { BranchBar } from './BranchBar.tsx';
import { ClearBar } from './ClearBar.tsx';
import { ClearDialog } from './ClearDialog.tsx';
import { CompactSelect } from './CompactSelect.tsx';
import type { Explorer, ExplorerView } from './explorer.ts';
import type { Order, PauseStats } from './protocol.ts';
import { HELD_BYTES_MAX } from './protocol.ts';
import { RecordBar } from './RecordBar.tsx';
import { useRecorder } from './recording/useRecorder.ts';
import { SearchBar } from './SearchBar.tsx';
import { TreeFigures, TreeRows } from './TreeRows.tsx';

const ORDERS: readonly (readonly [Order, string])[] = [
  ['name', 'By name'],
  ['messages', 'By messages'],
  ['rate', 'By rate'],
  ['topics', 'By topics'],
  ['newest', 'Newest first'],
];

interface Props {
  explorer: Explorer;
  topic: string | undefined;
  onOpen: (path: string) => void;
}

export function TreePane({ explorer, topic, onOpen }: Props) {
  const view = useStore(explorer);
  const recorder = useRecorder();
  const isRecording = useStoreValue(recorder, ({ phase }) => phase !== 'idle');
  const [clearing, setClearing] = useState<string>();
  useSpokenClearing(view);
  const askToClear = (path: string): void => {
    explorer.survey(path);
    setClearing(path);
  };
  return (
    <section
      aria-label="Topics"
      className="flex h-[calc(100dvh-15rem)] min-h-96 min-w-0 flex-col overflow-hidden rounded-card border border-line bg-surface shadow-card lg:h-[calc(100dvh-7.5rem)]"
    >
      <div className="flex flex-wrap items-center gap-1.5 border-b border-line p-2">
        <SearchBar explorer={explorer} search={view.search} problem={view.searchProblem} stats={view.stats} />
        <CompactSelect
          label="Order of the tree"
          value={view.order}
          options={ORDERS}
          className="grow"
          onChange={(order) => {
            explorer.setOrder(order);
          }}
        />
        <Button
          look="ghost"
          icon={view.isPaused ? 'play' : 'pause'}
          pressed={view.isPaused}
          onClick={() => {
            explorer.setPaused(!view.isPaused);
          }}
        >
          {view.isPaused ? 'Resume' : 'Pause'}
        </Button>
        <Button
          look="ghost"
          icon="record"
          label="Record all that arrives"
          disabled={isRecording || (view.source === 'filters' && view.filters.length === 0)}
          onClick={() => {
            recorder.start(view.source === 'tree' ? ['#'] : view.filters);
          }}
        >
          Record
        </Button>
        <Button
          look="ghost"
          icon="trash"
          label="Empty the tree"
          onClick={() => {
            explorer.forget();
          }}
        >
          Empty
        </Button>
      </div>
      <Notices view={view} explorer={explorer} />
      {view.stats.pause !== undefined && <PauseMeter pause={view.stats.pause} />}
      <RecordBar recorder={recorder} />
      <ClearBar explorer={explorer} clearing={view.clearing} />
      {/* What is said of an empty tree lies upon it: rows are asked for by the height that the tree has. */}
      <div className="relative flex min-h-24 grow flex-col">
        <TreeRows
          explorer={explorer}
          rows={view.rows}
          topic={topic}
          isStale={view.downSince !== undefined}
          onOpen={({ path, isTopic }) => {
            if (isTopic) onOpen(path);
            else explorer.toggle(path);
          }}
          onClear={askToClear}
        />
        {view.rows.total === 0 && <NoRows view={view} />}
      </div>
      <BranchBar
        explorer={explorer}
        path={view.rows.cursor?.path}
        isRecording={isRecording}
        onRecord={(path) => {
          recorder.start([`${path}/#`]);
        }}
        onClear={askToClear}
      />
      <TreeFigures stats={view.stats} />
      {clearing !== undefined && (
        <ClearDialog
          path={clearing}
          survey={view.survey}
          onConfirm={() => {
            explorer.clear(clearing);
            setClearing(undefined);
          }}
          onClose={() => {
            setClearing(undefined);
          }}
        />
      )}
    </section>
  );
}

function NoRows({ view }: { view: ExplorerView }) {
  if (view.searchProblem !== undefined || view.stats.unsearched > 0) return null;
  const isSearching = view.stats.found !== undefined && view.stats.topics > 0;
  const isOwnTree = view.source === 'tree';
  return (
    <div className="absolute inset-0 flex flex-col items-center gap-6 overflow-y-auto px-4 py-6 text-center text-ink-soft">
      <p>
        {isSearching
          ? 'No topic fits the search.'
          : isOwnTree
            ? 'Nothing to see yet: the broker has retained nothing that you may read, and nobody has published.'
            : 'Nothing has come yet: the broker has retained nothing for these filters, and nobody has published.'}
      </p>
      {!isSearching && <DemoFleet />}
    </div>
  );
}

/** What the Explorer's own connections have to say. The page's banner is about that of the page. */
function Notices({ view, explorer }: { view: ExplorerView; explorer: Explorer }) {
  return (
    <>
      {view.tree?.phase === 'waiting' && (
        <Notice action={<Retry explorer={explorer} />}>The tree stands still: {view.tree.reason}.</Notice>
      )}
      {view.tree?.phase === 'connecting' && view.tree.attempt > 1 && <Notice>Connecting again…</Notice>}
      <LinkNotices view={view} explorer={explorer} />
    </>
  );
}

function LinkNotices({ view: { source, status }, explorer }: { view: ExplorerView; explorer: Explorer }) {
  if (status?.phase === 'connected') {
    return status.refused.map(({ filter, reason }) => (
      <Notice key={filter}>
        The broker refused the subscription to {filter}: {reason}.
      </Notice>
    ));
  }
  if (status === undefined) return null;
  // The broker's tree comes another way.
  const what = source === 'tree' ? 'No messages come of topics that are open' : 'The tree stands still';
  switch (status.phase) {
    case 'connecting':
      return status.attempt === 1 ? null : <Notice>Connecting again…</Notice>;
    case 'waiting':
      return (
        <Notice action={<Retry explorer={explorer} />}>
          {what}, the connection is lost: {status.reason}.
        </Notice>
      );
    case 'login':
    case 'offline':
      return (
        <Notice>
          {what}, there is no connection: {status.reason}.
        </Notice>
      );
  }
}

function Retry({ explorer }: { explorer: Explorer }) {
  return (
    <Button
      icon="retry"
      onClick={() => {
        explorer.retry();
      }}
    >
      Retry now
    </Button>
  );
}

function Notice({ children, action }: { children: React.ReactNode; action?: React.ReactNode }) {
  return (
    <div className="flex flex-wrap items-center gap-2 bg-warn-soft px-4 py-2 text-warn">
      <Icon name="warning" />
      <p className="min-w-0 grow basis-40 wrap-anywhere">{children}</p>
      {action}
    </div>
  );
}

function PauseMeter({ pause }: { pause: PauseStats }) {
  const share = Math.min(100, Math.round((pause.heldBytes / HELD_BYTES_MAX) * 100));
  return (
    <div
      data-testid="pause"
      className="nums flex flex-wrap items-center gap-x-3 gap-y-1 bg-accent-soft px-4 py-2"
    >
      <span className="font-medium text-accent">Paused</span>
      <span>
        {formatCount(pause.held)} messages held, {formatBytes(pause.heldBytes)} of{' '}
        {formatBytes(HELD_BYTES_MAX)}
      </span>
      <meter aria-label="Buffer in use" min={0} max={100} value={share} className="h-2 w-24 grow" />
      {pause.lost > 0 && (
        <span className="basis-full text-warn">
          The buffer is full: {formatCount(pause.lost)} messages will not be in the tree.
        </span>
      )}
    </div>
  );
}

/** Results, not progress. */
function useSpokenClearing({ clearing }: ExplorerView): void {
  const { announcer } = useStation();
  const phase = clearing?.phase;
  const done = clearing === undefined ? 0 : clearing.done - clearing.failed;
  useEffect(() => {
    if (phase === 'cleared') announcer.say(`${formatCount(done)} retained messages cleared`);
    if (phase === 'restored') announcer.say(`${formatCount(done)} retained messages published again`);
    // What was done does not change any more in these phases.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [announcer, phase]);
}
