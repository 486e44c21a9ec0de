/** What the devices can be told together: one of their controls with a value, or a payload of one's own. */
import { useEffect, useMemo, useState } from 'react';

import { formatCount } from '../../ui/format.ts';
import { SelectField } from '../../ui/SelectField.tsx';
import { TextField } from '../../ui/TextField.tsx';
import type { Device, FieldValue } from '../model.ts';
import { numberIn } from '../model.ts';
import type { Wanted } from './BulkDialog.tsx';
import type { Choice } from './plan.ts';
import { choicesOf } from './plan.ts';

const CUSTOM = 'custom';

interface Props {
  devices: readonly Device[];
  onChange: (wanted: Wanted) => void;
}

export function WishForm({ devices, onChange }: Props) {
  const { choices, beyond, custom } = useMemo(() => choicesOf(devices), [devices]);
  const [chosen, setChosen] = useState(choices[0]?.id ?? CUSTOM);
  const [text, setText] = useState('');
  const choice = choices.find(({ id }) => id === chosen);
  const wanted = useMemo(() => wantedOf(choice, text), [choice, text]);
  useEffect(() => {
    onChange(wanted);
  }, [onChange, wanted]);
  if (choices.length === 0 && custom === 0)
    return <p className="text-ink-soft">None of these devices takes a command.</p>;
  const of = (count: number): string => `${formatCount(count)} of ${formatCount(devices.length)}`;
  const options = choices.map(({ id, label, count }) => ({ value: id, name: `${label} (${of(count)})` }));
  if (custom > 0) options.push({ value: CUSTOM, name: `A payload of your own (${of(custom)})` });
  return (
    <div className="flex flex-col gap-3">
      <SelectField
        label="Command"
        value={chosen}
        options={options}
        onChange={(id) => {
          setChosen(id);
          setText('');
        }}
      />
      {beyond > 0 && (
        <p className="nums text-ink-soft">
          {formatCount(beyond)} more that fewer devices have are not listed.
        </p>
      )}
      <ValueField choice={choice} text={text} onChange={setText} />
    </div>
  );
}

interface ValueFieldProps {
  choice: Choice | undefined;
  text: string;
  onChange: (text: string) => void;
}

function ValueField({ choice, text, onChange }: ValueFieldProps) {
  switch (choice?.kind) {
    case 'button':
      return null;
    case 'switch':
    case 'select': {
      const options = choice.kind === 'switch' ? ['on', 'off'] : choice.options;
      return (
        <SelectField
          label={choice.label}
          value={text}
          options={[
            { value: '', name: 'Choose…' },
            ...options.map((option) => ({ value: option, name: option })),
          ]}
          onChange={onChange}
        />
      );
    }
    case 'number':
    case 'text':
      return (
        <TextField
          label={choice.label}
          value={text}
          inputMode={choice.kind === 'number' ? 'decimal' : undefined}
          autoComplete="off"
          onChange={onChange}
          problem={
            choice.kind === 'number' && text !== '' && numberIn(text) === undefined
              ? 'This is not a number'
              : undefined
          }
        />
      );
    case undefined:
      return (
        <TextField
          label="Payload"
          isMono
          value={text}
          placeholder='{"action":"start"}'
          autoComplete="off"
          spellCheck={false}
          onChange={onChange}
        />
      );
  }
}

function wantedOf(choice: Choice | undefined, text: string): Wanted {
  if (choice === undefined)
    return text === '' ? undefined : { name: 'Command', wish: { kind: 'custom', payload: text } };
  const value = valueOf(choice, text);
  if (value === undefined) return undefined;
  const { id, label, kind } = choice;
  const name = kind === 'button' ? label : `${label}: ${text}`;
  return { name, wish: { kind: 'control', choice: id, label, value } };
}

function valueOf({ kind }: Choice, text: string): FieldValue | undefined {
  switch (kind) {
    case 'button':
      // Each device has its own.
      return null;
    case 'switch':
      return text === '' ? undefined : text === 'on';
    case 'number':
      return numberIn(text);
    case 'select':
      return text === '' ? undefined : text;
    case 'text':
      return text;
  }
}
