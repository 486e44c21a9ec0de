/** Writes a message and sends it, once or again and again, with all properties of MQTT 5; keeps messages for later. */
import type { KeyboardEvent } from 'react';
import { useEffect, useRef, useState } from 'react';

import type { PublishOutcome } from '../../mqtt/protocol.ts';
import { useStation } from '../../station.ts';
import { Button } from '../../ui/Button.tsx';
import { formatCount, formatTimeMs } from '../../ui/format.ts';
import { useStore, useStoreValue } from '../../ui/frame-store.ts';
import { TextField } from '../../ui/TextField.tsx';
import { usePublisher } from './detail-state.ts';
import type { Problems } from './draft.ts';
import { readDraft } from './draft.ts';
import { useDraft } from './draft-store.ts';
import { PayloadField, PropertyFields, SendingFields } from './PublishFields.tsx';
import type { Sent } from './publisher.ts';
import { EVERY_SECS_MAX, EVERY_SECS_MIN } from './publisher.ts';
import { SavedMessages } from './SavedMessages.tsx';

export function PublishPanel() {
  const publisher = usePublisher();
  const { last, repetition } = useStore(publisher);
  const { draft, edit: editDraft } = useDraft();
  const panel = useFocusWhenWanted();
  const isConnected = useStoreValue(useStation().connection, (view) => view.status.phase === 'connected');
  const [problems, setProblems] = useState<Problems>({});
  const edit = (change: Partial<typeof draft>): void => {
    editDraft(change);
    setProblems({});
  };
  const read = () => {
    const result = readDraft(draft);
    setProblems('problems' in result ? result.problems : {});
    return 'message' in result ? result.message : undefined;
  };
  const send = (): void => {
    const message = isConnected ? read() : undefined;
    if (message !== undefined) void publisher.send(message);
  };
  const handleKey = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    send();
  };
  return (
    <div ref={panel} className="flex flex-col gap-4 p-4" onKeyDown={handleKey}>
      <SavedMessages draft={draft} onLoad={edit} />
      <TextField
        label="Topic"
        name="topic"
        isMono
        value={draft.topic}
        problem={problems.topic}
        autoCapitalize="none"
        autoComplete="off"
        spellCheck={false}
        onChange={(topic) => {
          edit({ topic });
        }}
      />
      <PayloadField draft={draft} problem={problems.payload} onEdit={edit} />
      <SendingFields draft={draft} onEdit={edit} />
      <PropertyFields draft={draft} problems={problems} onEdit={edit} />
      <div className="flex flex-wrap items-end gap-x-4 gap-y-3">
        <Button look="solid" icon="up" disabled={!isConnected} onClick={send}>
          Publish
        </Button>
        <RepeatControls
          isConnected={isConnected}
          isRepeating={repetition !== undefined}
          onStop={() => {
            publisher.stop();
          }}
          onRepeat={(everyMs, times) => {
            const message = read();
            if (message !== undefined) publisher.repeat(message, everyMs, times);
          }}
        />
      </div>
      <div role="status" className="nums min-h-5 text-ink-soft">
        {repetition === undefined ? (
          <Result last={last} isConnected={isConnected} />
        ) : (
          `Sent ${formatCount(repetition.sent)}${repetition.times === undefined ? '' : ` of ${formatCount(repetition.times)}`}`
        )}
      </div>
    </div>
  );
}

/** For who has come by the key: with the next letter the topic is written. */
function useFocusWhenWanted() {
  const panel = useRef<HTMLDivElement>(null);
  const { isFocusWanted, wantFocus } = useDraft();
  useEffect(() => {
    if (!isFocusWanted) return;
    panel.current?.querySelector<HTMLInputElement>('input[name=topic]')?.focus();
    wantFocus(false);
  }, [isFocusWanted, wantFocus]);
  return panel;
}

interface RepeatProps {
  isConnected: boolean;
  isRepeating: boolean;
  onRepeat: (everyMs: number, times: number | undefined) => void;
  onStop: () => void;
}

function RepeatControls({ isConnected, isRepeating, onRepeat, onStop }: RepeatProps) {
  const [every, setEvery] = useState('1');
  const [times, setTimes] = useState('');
  const secs = Number(every);
  const isFine =
    every.trim() !== '' && secs >= EVERY_SECS_MIN && secs <= EVERY_SECS_MAX && /^([1-9]\d*)?$/.test(times);
  return (
    <fieldset className="flex flex-wrap items-end gap-2">
      <legend className="sr-only">Repeat</legend>
      <TextField
        className="w-28"
        label="Every, seconds"
        inputMode="decimal"
        value={every}
        onChange={setEvery}
        disabled={isRepeating}
      />
      <TextField
        className="w-28"
        label="Times"
        inputMode="numeric"
        placeholder="until stopped"
        value={times}
        onChange={setTimes}
        disabled={isRepeating}
      />
      {isRepeating ? (
        <Button icon="stop" onClick={onStop}>
          Stop
        </Button>
      ) : (
        <Button
          icon="retry"
          disabled={!isConnected || !isFine}
          onClick={() => {
            onRepeat(secs * 1000, times === '' ? undefined : Number(times));
          }}
        >
          Repeat
        </Button>
      )}
    </fieldset>
  );
}

function Result({ last, isConnected }: { last: Sent | undefined; isConnected: boolean }) {
  if (last === undefined) {
    return isConnected ? 'Ctrl+Enter publishes, too.' : 'There is no connection to publish over.';
  }
  const { at, topic, outcome } = last;
  const isFailure = outcome?.kind === 'refused' || outcome?.kind === 'interrupted';
  return (
    <span className={isFailure ? 'text-bad' : undefined}>
      {formatTimeMs(at)} to <span className="font-mono text-xs wrap-anywhere">{topic}</span>:{' '}
      {resultText(outcome)}
    </span>
  );
}

function resultText(outcome: PublishOutcome | undefined): string {
  switch (outcome?.kind) {
    case undefined:
      return 'sending…';
    case 'accepted':
      return 'the broker took it.';
    case 'unheard':
      return 'the broker took it; nobody is subscribed.';
    case 'refused':
      return `refused: ${outcome.reason}.`;
    case 'interrupted':
      return 'the connection was lost before the broker answered. It may have arrived.';
  }
}
