/** One of many, chosen from the browser's own list. */
import { useId } from 'react';

import { classNames } from './class-names.ts';

interface Props<Value extends string> {
  label: string;
  value: Value;
  options: readonly { value: Value; name: string }[];
  onChange: (value: Value) => void;
  /** The label before the field and not above it. */
  isInline?: boolean;
  className?: string;
}

export function SelectField<Value extends string>(props: Props<Value>) {
  const { label, value, options, onChange, isInline = false, className } = props;
  const id = useId();
  return (
    <div className={classNames('flex min-w-0 gap-1.5', isInline ? 'items-center' : 'flex-col', className)}>
      <label htmlFor={id} className={isInline ? 'text-ink-soft' : 'font-medium'}>
        {label}
      </label>
      <select
        id={id}
        value={value}
        onChange={(event) => {
          const chosen = options.find((option) => option.value === event.target.value);
          if (chosen !== undefined) onChange(chosen.value);
        }}
        className="h-11 min-w-0 rounded-lg border border-line-strong bg-surface px-2.5 text-base md:h-9 md:text-sm pointer-coarse:h-11"
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.name}
          </option>
        ))}
      </select>
    </div>
  );
}
