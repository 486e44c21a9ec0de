/** One of a few: a row of segments, each with an icon or an example beside its name. */
import * as RadioGroup from '@radix-ui/react-radio-group';
import { useId } from 'react';

import type { IconName } from './icons.tsx';
import { Icon } from './icons.tsx';

interface Props<Value extends string> {
  label: string;
  value: Value;
  options: readonly { value: Value; name: string; icon?: IconName; example?: string }[];
  onChange: (value: Value) => void;
}

export function Choice<Value extends string>({ label, value, options, onChange }: Props<Value>) {
  const id = useId();
  return (
    <div className="flex flex-col gap-1.5">
      <p id={id} className="font-medium">
        {label}
      </p>
      <RadioGroup.Root
        aria-labelledby={id}
        value={value}
        onValueChange={(chosen) => {
          const option = options.find((one) => one.value === chosen);
          if (option !== undefined) onChange(option.value);
        }}
        className="flex w-fit max-w-full flex-wrap gap-0.5 rounded-xl bg-sunken p-0.5"
      >
        {options.map(({ value: one, name, icon, example }) => (
          <RadioGroup.Item
            key={one}
            value={one}
            className="flex min-h-11 items-center gap-2 rounded-[0.625rem] px-3 text-left text-ink-soft hover:text-ink data-[state=checked]:bg-surface data-[state=checked]:text-ink data-[state=checked]:shadow-card md:min-h-9 pointer-coarse:min-h-11"
          >
            {icon !== undefined && <Icon name={icon} />}
            <span>{name}</span>
            {example !== undefined && <span className="nums text-xs text-ink-faint">{example}</span>}
          </RadioGroup.Item>
        ))}
      </RadioGroup.Root>
    </div>
  );
}
