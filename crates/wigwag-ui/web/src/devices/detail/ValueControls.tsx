/** The controls of a device that want a value: numbers, choices and texts, each with the present one beside it. */
import { useState } from 'react';

import { Button } from '../../ui/Button.tsx';
import { SelectField } from '../../ui/SelectField.tsx';
import { TextField } from '../../ui/TextField.tsx';
import type { OnCommand } from '../Controls.tsx';
import type { Control, Device, FieldValue } from '../model.ts';
import { fieldOf, isOfWholes, numberIn } from '../model.ts';

interface Props {
  device: Device;
  isFree: boolean;
  onCommand: OnCommand;
}

type Wanting = Extract<Control, { kind: 'number' | 'select' | 'text' }>;

export function ValueControls({ device, isFree, onCommand }: Props) {
  const wanting = device.controls.filter((control): control is Wanting =>
    ['number', 'select', 'text'].includes(control.kind),
  );
  return wanting.map((control) => (
    <ValueControl
      key={control.key}
      control={control}
      device={device}
      isFree={isFree}
      onSend={(value) => {
        onCommand(device, control, value);
      }}
    />
  ));
}

interface ValueControlProps {
  control: Wanting;
  device: Device;
  isFree: boolean;
  onSend: (value: FieldValue) => void;
}

function ValueControl({ control, device, isFree, onSend }: ValueControlProps) {
  const field = fieldOf(device, control.field);
  const present = field?.value === undefined || field.value === null ? '' : String(field.value);
  const [typed, setTyped] = useState<string>();
  const text = typed ?? present;
  const value = valueOf(control, text);
  const problem = typed === undefined || 'value' in value ? undefined : value.problem;
  const send = (): void => {
    if (!isFree || !('value' in value)) return;
    onSend(value.value);
    setTyped(undefined);
  };
  return (
    <form
      className="flex items-start gap-2"
      data-control={control.key}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {control.kind === 'select' ? (
        <SelectField
          label={control.label}
          value={text}
          options={[...new Set([text, ...control.options])].map((option) => ({
            value: option,
            name: option,
          }))}
          onChange={setTyped}
          className="min-w-0 grow"
        />
      ) : (
        <TextField
          label={labelOf(control)}
          value={text}
          autoComplete="off"
          inputMode={control.kind === 'number' ? 'decimal' : undefined}
          problem={problem}
          placeholder={present === '' ? 'Not known' : undefined}
          onChange={setTyped}
          className="min-w-0 grow"
        />
      )}
      <Button
        type="submit"
        disabled={!isFree || !('value' in value)}
        label={`Set ${control.label}`}
        className="mt-6.5"
      >
        Set
      </Button>
    </form>
  );
}

function labelOf(control: Wanting): string {
  if (control.kind !== 'number') return control.label;
  const unit = control.unit === undefined ? '' : ` ${control.unit}`;
  return `${control.label} (${control.min} to ${control.max}${unit})`;
}

/** What was typed as the control takes it, or what is wrong with it. */
export function valueOf(control: Wanting, text: string): { value: FieldValue } | { problem: string } {
  switch (control.kind) {
    case 'number': {
      const number = numberIn(text);
      const isWhole = isOfWholes(control);
      return number !== undefined &&
        number >= control.min &&
        number <= control.max &&
        (!isWhole || Number.isInteger(number))
        ? { value: number }
        : { problem: `A ${isWhole ? 'whole ' : ''}number from ${control.min} to ${control.max} is allowed.` };
    }
    case 'select':
      return control.options.includes(text) ? { value: text } : { problem: 'Choose one of the list.' };
    case 'text':
      return text.length <= control.lengthMax
        ? { value: text }
        : { problem: `At most ${control.lengthMax} characters are allowed.` };
  }
}
