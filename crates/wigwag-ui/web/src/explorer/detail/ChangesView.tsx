/** What differs between a message and another one of its topic, line by line, both in the same reading. */
import { useMemo } from 'react';

import type { Decoded, DecoderName } from '../../message/decode.ts';
import type { Message } from '../../message/message.ts';
import { classNames } from '../../ui/class-names.ts';
import { formatCount, formatTimeMs } from '../../ui/format.ts';
import { SelectField } from '../../ui/SelectField.tsx';
import { DecodedView } from './DecodedView.tsx';
import type { DiffLine } from './differences.ts';
import { differences } from './differences.ts';
import { useDecoded } from './useDecoded.ts';

interface Props {
  message: Message;
  history: readonly Message[];
  /** Number of the message to compare with; the one before when absent. */
  otherSeq: number | undefined;
  onChoose: (seq: number | undefined) => void;
  decoder: DecoderName;
  birth: Message | undefined;
}

export function ChangesView({ message, history, otherSeq, onChoose, decoder, birth }: Props) {
  const index = history.findIndex(({ seq }) => seq === message.seq);
  const before = index > 0 ? history[index - 1] : undefined;
  const chosen = history.find(({ seq }) => seq === otherSeq);
  const other = chosen ?? before;
  return (
    <>
      <div className="px-4 pt-3">
        <SelectField
          isInline
          label="Compare with"
          value={chosen === undefined ? '' : String(chosen.seq)}
          options={[
            { value: '', name: 'the message before' },
            ...history
              .filter(({ seq }) => seq !== message.seq)
              .map(({ seq, at }) => ({ value: String(seq), name: `no. ${seq}, ${formatTimeMs(at)}` }))
              .reverse(),
          ]}
          onChange={(value) => {
            onChoose(value === '' ? undefined : Number(value));
          }}
        />
      </div>
      {other === undefined ? (
        <p className="px-4 py-3 text-ink-soft">There is no message before this one to compare with.</p>
      ) : (
        <Comparison before={other} after={message} decoder={decoder} birth={birth} />
      )}
    </>
  );
}

interface ComparisonProps {
  before: Message;
  after: Message;
  decoder: DecoderName;
  birth: Message | undefined;
}

function Comparison({ before, after, decoder, birth }: ComparisonProps) {
  const from = useDecoded(decoder, before, birth);
  const to = useDecoded(decoder, after, birth);
  const result = useMemo(() => {
    const [old, now] = [textOf(from), textOf(to)];
    return old === undefined || now === undefined ? undefined : { differences: differences(old, now) };
  }, [from, to]);
  if (from?.kind === 'problem') return <DecodedView decoded={from} />;
  if (to?.kind === 'problem') return <DecodedView decoded={to} />;
  if (from === undefined || to === undefined) return <DecodedView decoded={undefined} />;
  if (result === undefined) return <p className="px-4 py-3 text-ink-soft">Pictures are not compared.</p>;
  if (result.differences === undefined) {
    return <p className="px-4 py-3 text-ink-soft">Too much differs to compare these line by line.</p>;
  }
  const { lines, added, removed, beyond } = result.differences;
  return (
    <>
      <p className="nums px-4 pt-3 text-ink-soft">
        {added + removed === 0
          ? 'Both say the same.'
          : `Lines added: ${formatCount(added)}, removed: ${formatCount(removed)}.`}
      </p>
      <div
        tabIndex={0}
        role="group"
        aria-label="Differences"
        className="max-h-96 overflow-auto py-2 font-mono text-xs -outline-offset-2"
      >
        {lines.map((line, index) => (
          <Line key={index} line={line} />
        ))}
        {beyond > 0 && (
          <p className="px-4 py-1 text-ink-soft">Lines that are not shown: {formatCount(beyond)}.</p>
        )}
      </div>
    </>
  );
}

const SIGNS = { same: ' ', added: '+', removed: '−' };
const LOOKS = { same: 'text-ink-soft', added: 'bg-good-soft text-good', removed: 'bg-bad-soft text-bad' };

function Line({ line: { kind, text } }: { line: DiffLine }) {
  return (
    <div className={classNames('flex gap-2 px-4 leading-5', LOOKS[kind])}>
      <span aria-hidden="true" className="w-2 shrink-0">
        {SIGNS[kind]}
      </span>
      {kind !== 'same' && <span className="sr-only">{kind}: </span>}
      <span className="min-w-0 wrap-anywhere whitespace-pre-wrap">{text}</span>
    </div>
  );
}

function textOf(decoded: Decoded | undefined): string | undefined {
  return decoded?.kind === 'text' ? decoded.text : undefined;
}
