/** A message in full: its payload in the chosen reading, the numbers in it that can be followed, and its properties. */
import type { Decoded, DecoderName } from '../../message/decode.ts';
import { DECODERS, isCut } from '../../message/decode.ts';
import type { Message } from '../../message/message.ts';
import { formatPath, plottable, PLOTTABLE_MAX } from '../../message/path.ts';
import type { Value } from '../../message/value.ts';
import { Button } from '../../ui/Button.tsx';
import { formatBytes } from '../../ui/format.ts';
import { useStore } from '../../ui/frame-store.ts';
import { SelectField } from '../../ui/SelectField.tsx';
import { DecodedView } from './DecodedView.tsx';
import { usePins, useReadings } from './detail-state.ts';
import { PINS_MAX } from './pins.ts';
import { PropertiesList } from './PropertiesList.tsx';
import { useDecoded } from './useDecoded.ts';

interface Props {
  message: Message;
  /** How it is read, and how it would be if nobody had chosen. */
  decoder: DecoderName;
  guessed: DecoderName;
  birth: Message | undefined;
  onResend: (message: Message) => void;
}

export function ValueView({ message, decoder, guessed, birth, onResend }: Props) {
  const decoded = useDecoded(decoder, message, birth);
  return (
    <>
      <div className="flex flex-wrap items-center gap-2 px-4 pt-3">
        <DecoderChoice topic={message.topic} guessed={guessed} />
        <Button
          look="ghost"
          icon="up"
          className="ml-auto"
          onClick={() => {
            onResend(message);
          }}
        >
          Edit and send
        </Button>
      </div>
      {isCut(message) && (
        <p className="px-4 pt-3 text-xs text-ink-soft">
          The first {formatBytes(message.payload.length)} of {formatBytes(message.bytes)}; the rest is not
          kept.
        </p>
      )}
      <DecodedView decoded={decoded} />
      <Numbers topic={message.topic} decoded={decoded} isFollowable={decoder === guessed} />
      <PropertiesList properties={message.properties} />
    </>
  );
}

function DecoderChoice({ topic, guessed }: { topic: string; guessed: DecoderName }) {
  const { chosen, choose } = useReadings();
  const decoders = Object.entries(DECODERS) as [DecoderName, string][];
  return (
    <SelectField<DecoderName | 'auto'>
      isInline
      label="Read as"
      value={chosen.get(topic) ?? 'auto'}
      options={[
        { value: 'auto', name: `Automatic: ${DECODERS[guessed]}` },
        ...decoders.map(([value, name]) => ({ value, name })),
      ]}
      onChange={(value) => {
        choose(topic, value === 'auto' ? undefined : value);
      }}
    />
  );
}

interface NumbersProps {
  topic: string;
  decoded: Decoded | undefined;
  isFollowable: boolean;
}

/** Numbers are followed in the reading that fits each message by itself. */
function Numbers({ topic, decoded, isFollowable }: NumbersProps) {
  if (!isFollowable || decoded?.kind !== 'text' || decoded.value === undefined) return null;
  return <NumberList topic={topic} value={decoded.value} />;
}

function NumberList({ topic, value }: { topic: string; value: Value }) {
  const pins = usePins();
  const pinned = useStore(pins);
  const numbers = plottable(value);
  if (numbers.length === 0) return null;
  return (
    <section aria-label="Numbers" className="border-t border-line px-4 py-3">
      <h3 className="pb-2 font-medium">Numbers</h3>
      <ul className="flex max-h-48 flex-wrap gap-2 overflow-y-auto p-0.5">
        {numbers.map(({ path }) => {
          const name = formatPath(path);
          const pin = pinned.find((one) => one.topic === topic && formatPath(one.path) === name);
          return (
            <li key={name} className="max-w-full min-w-0">
              <Button
                icon={pin === undefined ? 'chart' : 'check'}
                pressed={pin !== undefined}
                disabled={pin === undefined && pinned.length >= PINS_MAX}
                label={`Chart of ${name}`}
                className="max-w-full"
                onClick={() => {
                  if (pin === undefined) pins.add(topic, path);
                  else pins.remove(pin.id);
                }}
              >
                <span className="truncate font-mono text-xs">{name}</span>
              </Button>
            </li>
          );
        })}
      </ul>
      {numbers.length === PLOTTABLE_MAX && (
        <p className="pt-2 text-xs text-ink-soft">The first {PLOTTABLE_MAX}; there may be more.</p>
      )}
      {pinned.length >= PINS_MAX && (
        <p className="pt-2 text-xs text-ink-soft">
          There is room for {PINS_MAX} charts: close one for another.
        </p>
      )}
    </section>
  );
}
