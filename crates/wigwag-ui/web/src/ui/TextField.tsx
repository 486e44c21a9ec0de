/** A line to type in, with its label above and what is wrong or worth knowing below. */
import type { InputHTMLAttributes } from 'react';
import { useId } from 'react';

import { classNames } from './class-names.ts';

interface Props extends Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange' | 'value' | 'id'> {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: string;
  problem?: string | undefined;
  isMono?: boolean;
}

export function TextField({
  label,
  value,
  onChange,
  hint,
  problem,
  isMono = false,
  className,
  ...input
}: Props) {
  const id = useId();
  const note = problem ?? hint;
  return (
    <div className={classNames('flex min-w-0 flex-col gap-1.5', className)}>
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      <input
        {...input}
        id={id}
        value={value}
        aria-invalid={problem !== undefined || undefined}
        aria-describedby={note === undefined ? undefined : `${id}-note`}
        onChange={(event) => {
          onChange(event.target.value);
        }}
        className={classNames(
          'h-11 w-full min-w-0 rounded-lg border bg-surface px-3 text-base md:h-9 md:text-sm pointer-coarse:h-11',
          problem === undefined ? 'border-line-strong' : 'border-bad',
          isMono && 'font-mono md:text-xs',
        )}
      />
      {note !== undefined && (
        <p
          id={`${id}-note`}
          role={problem === undefined ? undefined : 'alert'}
          className={classNames('wrap-anywhere', problem === undefined ? 'text-ink-soft' : 'text-bad')}
        >
          {note}
        </p>
      )}
    </div>
  );
}
