/** A word with an icon and a tone. The tone only underlines: icon and word say the same. */
import type { ReactNode } from 'react';

import { classNames } from './class-names.ts';
import type { IconName } from './icons.tsx';
import { Icon } from './icons.tsx';

const TONES = {
  good: 'bg-good-soft text-good',
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
  accent: 'bg-accent-soft text-accent',
  quiet: 'bg-sunken text-ink-soft',
};

export type Tone = keyof typeof TONES;

interface Props {
  tone: Tone;
  icon: IconName;
  children: ReactNode;
  title?: string;
}

export function Badge({ tone, icon, children, title }: Props) {
  return (
    <span
      title={title}
      className={classNames(
        'inline-flex h-6 items-center gap-1 rounded-full px-2 text-xs font-medium whitespace-nowrap',
        TONES[tone],
      )}
    >
      <Icon name={icon} className="size-3.5" />
      {children}
    </span>
  );
}
