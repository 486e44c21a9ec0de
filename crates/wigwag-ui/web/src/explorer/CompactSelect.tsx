/** One of many in a toolbar: no label of its own to be seen, so its options have to say what they are. */
import { classNames } from '../ui/class-names.ts';

interface Props<Value extends string> {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange: (value: Value) => void;
  className?: string;
}

export function CompactSelect<Value extends string>(props: Props<Value>) {
  const { label, value, options, onChange, className } = props;
  return (
    <select
      aria-label={label}
      title={label}
      value={value}
      onChange={(event) => {
        const option = options.find(([one]) => one === event.target.value);
        if (option !== undefined) onChange(option[0]);
      }}
      className={classNames(
        'h-11 min-w-0 rounded-lg border border-line-strong bg-surface px-1.5 md:h-9 pointer-coarse:h-11',
        className,
      )}
    >
      {options.map(([one, name]) => (
        <option key={one} value={one}>
          {name}
        </option>
      ))}
    </select>
  );
}
