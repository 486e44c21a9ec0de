/** A box to tick, with room for a finger around it. */
import type { MouseEvent } from 'react';
import { useEffect, useRef } from 'react';

import { classNames } from './class-names.ts';

interface Props {
  /** What assistive technology says, where no text stands beside it. */
  label: string;
  isChecked: boolean;
  /** Some of what it stands for, and not all. */
  isMixed?: boolean;
  onPress: (event: MouseEvent<HTMLInputElement>) => void;
  className?: string;
}

export function Checkbox({ label, isChecked, isMixed = false, onPress, className }: Props) {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (box.current !== null) box.current.indeterminate = isMixed;
  }, [isMixed]);
  return (
    <span
      className={classNames(
        'grid size-11 shrink-0 place-items-center md:size-9 pointer-coarse:size-11',
        className,
      )}
    >
      <input
        ref={box}
        type="checkbox"
        aria-label={label}
        checked={isChecked}
        // A click, because it tells whether Shift is held; the keyboard's space comes as one, too.
        onClick={onPress}
        onChange={() => undefined}
        className="size-4.5 accent-accent"
      />
    </span>
  );
}
