/** How a recording goes, and what becomes of it. */
import { useEffect } from 'react';

import { useStation } from '../station.ts';
import { Button } from '../ui/Button.tsx';
import { saveAs } from '../ui/download.ts';
import { formatBytes, formatCount } from '../ui/format.ts';
import { useStore } from '../ui/frame-store.ts';
import type { RecorderView } from './recording/recorder.ts';
import { RECORDED_BYTES_MAX } from './recording/protocol.ts';
import type { Recorder } from './recording/recorder.ts';
import { visible } from '../ui/visible.ts';

export function RecordBar({ recorder }: { recorder: Recorder }) {
  const view = useStore(recorder);
  useSpoken(view);
  if (view.phase === 'idle') return null;
  const { messages, bytes, isFull } = view.stats;
  return (
    <div
      data-testid="recording"
      className="nums flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-accent-soft px-4 py-2"
    >
      <span className="font-medium text-accent">{view.phase === 'recording' ? 'Recording' : 'Recorded'}</span>
      <span className="max-w-full truncate font-mono text-xs">{visible(view.filters.join(' '))}</span>
      <span>
        {formatCount(messages)} messages, {formatBytes(bytes)} of {formatBytes(RECORDED_BYTES_MAX)}
      </span>
      <meter
        aria-label="Recording, share of its bound"
        min={0}
        max={RECORDED_BYTES_MAX}
        value={bytes}
        className="h-2 w-24 grow"
      />
      <Actions recorder={recorder} view={view} />
      {view.phase === 'recording' && <Trouble view={view} />}
      {isFull && (
        <span className="basis-full text-warn">It was full and has ended. What came later is not in it.</span>
      )}
      {view.gaps > 0 && (
        <span className="basis-full text-warn">
          The connection was lost {view.gaps === 1 ? 'once' : `${formatCount(view.gaps)} times`}; what came
          meanwhile is missing.
        </span>
      )}
    </div>
  );
}

function Actions({ recorder, view }: { recorder: Recorder; view: RecorderView }) {
  if (view.phase === 'recording') {
    return (
      <Button
        icon="stop"
        onClick={() => {
          recorder.stop();
        }}
      >
        Stop recording
      </Button>
    );
  }
  if (view.phase === 'idle') return null;
  return (
    <span className="flex flex-wrap gap-2">
      <Button
        icon="down"
        onClick={() => {
          saveAs(view.lines, `recording-${view.filters.join('-')}.jsonl`);
        }}
      >
        Save
      </Button>
      <Button
        look="ghost"
        icon="trash"
        onClick={() => {
          recorder.discard();
        }}
      >
        Discard
      </Button>
      <span className="basis-full text-xs text-ink-soft">
        <code className="font-mono">wigwag replay FILE</code> publishes it again.
      </span>
    </span>
  );
}

function Trouble({ view }: { view: Extract<RecorderView, { phase: 'recording' }> }) {
  const { status } = view;
  if (status?.phase === 'connected') {
    return status.refused.map(({ filter, reason }) => (
      <span key={filter} className="basis-full text-warn wrap-anywhere">
        The broker refused the subscription to {visible(filter)}: {reason}.
      </span>
    ));
  }
  if (status === undefined || status.phase === 'connecting') return null;
  return <span className="basis-full text-warn wrap-anywhere">Nothing arrives: {status.reason}.</span>;
}

function useSpoken(view: RecorderView): void {
  const { announcer } = useStation();
  const { phase } = view;
  useEffect(() => {
    if (view.phase === 'recording') announcer.say('Recording');
    if (view.phase === 'recorded') {
      const end = view.stats.isFull ? 'The recording is full' : 'Recording stopped';
      announcer.say(`${end}, ${formatCount(view.stats.messages)} messages`);
    }
    // Once for each phase.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [announcer, phase]);
}
