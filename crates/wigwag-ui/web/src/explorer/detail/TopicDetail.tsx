/**
 * One topic: its latest message, or one chosen from its history, with everything there is to know of it. Messages are the
 * tree's to keep; what is chosen here is in the address.
 */
import { useState } from 'react';

import type { DecoderName } from '../../message/decode.ts';
import { guess } from '../../message/decode.ts';
import type { Message, TopicView } from '../../message/message.ts';
import { birthTopic } from '../../message/sparkplug.ts';
import { Badge } from '../../ui/Badge.tsx';
import { Button } from '../../ui/Button.tsx';
import { formatBytes, formatCount, formatTimeMs } from '../../ui/format.ts';
import { useTopic } from '../useTopic.ts';
import { ChangesView } from './ChangesView.tsx';
import { useReadings } from './detail-state.ts';
import { HistoryView } from './HistoryView.tsx';
import { ValueView } from './ValueView.tsx';

export type TopicPart = 'value' | 'changes' | 'history';

interface Props {
  topic: string;
  part: TopicPart;
  onResend: (message: Message) => void;
}

export function TopicDetail({ topic, part, onResend }: Props) {
  const view = useTopic(topic);
  const [chosenSeq, setChosenSeq] = useState<number>();
  const chosen = view.history.find(({ seq }) => seq === chosenSeq);
  const message = chosen ?? view.history.at(-1);
  if (message === undefined) {
    return (
      <p className="px-4 py-4 text-ink-soft">
        There is no message of this topic: none has come since its filter was subscribed to, and none is
        retained.
      </p>
    );
  }
  return (
    <>
      <MessageLine
        message={message}
        view={view}
        isChosen={chosen !== undefined}
        isGone={chosenSeq !== undefined && chosen === undefined}
        onLatest={() => {
          setChosenSeq(undefined);
        }}
      />
      <Part
        part={part}
        view={view}
        message={message}
        onResend={onResend}
        onSelect={(selected) => {
          setChosenSeq(selected.seq);
        }}
      />
    </>
  );
}

interface PartProps {
  part: TopicPart;
  view: TopicView;
  message: Message;
  onResend: (message: Message) => void;
  onSelect: (message: Message) => void;
}

function Part({ part, view, message, onResend, onSelect }: PartProps) {
  const { topic } = view;
  const birthName = birthTopic(topic);
  const births = useTopic(birthName ?? topic);
  const birth = birthName === undefined ? undefined : births.history.at(-1);
  const [otherSeq, setOtherSeq] = useState<number>();
  const chosen: DecoderName | undefined = useReadings().chosen.get(topic);
  const guessed = guess(message);
  const decoder = chosen ?? guessed;
  switch (part) {
    case 'value':
      return (
        <ValueView message={message} decoder={decoder} guessed={guessed} birth={birth} onResend={onResend} />
      );
    case 'changes':
      return (
        <ChangesView
          message={message}
          history={view.history}
          otherSeq={otherSeq}
          onChoose={setOtherSeq}
          decoder={decoder}
          birth={birth}
        />
      );
    case 'history':
      return <HistoryView view={view} selected={message} onSelect={onSelect} />;
  }
}

interface LineProps {
  message: Message;
  view: TopicView;
  isChosen: boolean;
  /** The message that was chosen is no longer kept. */
  isGone: boolean;
  onLatest: () => void;
}

function MessageLine({ message, view, isChosen, isGone, onLatest }: LineProps) {
  return (
    <div className="flex min-h-12 flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-4 py-1.5">
      <p className="nums text-ink-soft">
        {isChosen ? `No. ${formatCount(message.seq)} of ${formatCount(view.total)}` : 'Latest'} ·{' '}
        {formatTimeMs(message.at)} · QoS {message.qos} · {formatBytes(message.bytes)}
      </p>
      {message.retain && (
        <Badge
          tone="accent"
          icon="check"
          title="The broker had kept it and sent it when the topic was subscribed to"
        >
          Retained
        </Badge>
      )}
      {isGone && <p className="text-warn">The chosen message is no longer kept.</p>}
      {(isChosen || isGone) && (
        <Button look="ghost" icon="down" className="ml-auto" onClick={onLatest}>
          Follow the latest
        </Button>
      )}
    </div>
  );
}
