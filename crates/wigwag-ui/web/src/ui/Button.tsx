/** A button. Unavailable ones stay in the tab order, so that focus is not lost when the connection breaks. */
import type { ReactNode } from 'react';

import { classNames } from './class-names.ts';
import type { IconName } from './icons.tsx';
import { Icon } from './icons.tsx';

const LOOKS = {
  solid: 'bg-solid text-on-solid border-transparent hover:bg-solid-hover',
  outline: 'bg-surface text-ink border-line-strong hover:bg-sunken',
  ghost: 'bg-transparent text-ink-soft border-transparent hover:bg-sunken hover:text-ink',
};

/** In the place of its look: of two backgrounds, the order in the stylesheet would choose. */
const PRESSED = 'bg-accent-soft text-accent border-transparent';

interface Props {
  children: ReactNode;
  onClick?: () => void;
  /** `submit` sends the form that it is in. */
  type?: 'button' | 'submit';
  look?: keyof typeof LOOKS;
  icon?: IconName;
  disabled?: boolean;
  pressed?: boolean;
  label?: string;
  className?: string;
}

export function Button({
  children,
  onClick,
  type = 'button',
  look = 'outline',
  icon,
  disabled = false,
  pressed,
  label,
  className,
}: Props) {
  return (
    <button
      type={type}
      aria-disabled={disabled || undefined}
      aria-pressed={pressed}
      aria-label={label}
      onClick={disabled ? undefined : onClick}
      className={classNames(
        'inline-flex h-11 items-center justify-center gap-1.5 rounded-lg border px-3.5 font-medium whitespace-nowrap select-none md:h-9 pointer-coarse:h-11',
        pressed === true ? PRESSED : LOOKS[look],
        disabled && 'pointer-events-none opacity-45',
        className,
      )}
    >
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </button>
  );
}
