/** A part of a form that is out of the way until it is wanted; says how much is in it. */
import type { ReactNode } from 'react';

import { Icon } from '../../ui/icons.tsx';

interface Props {
  title: string;
  count: number;
  /** Unfolds it; absent leaves it as it is. */
  isOpen?: boolean | undefined;
  children: ReactNode;
}

export function Fold({ title, count, isOpen, children }: Props) {
  return (
    <details className="group rounded-lg border border-line" open={isOpen}>
      <summary className="flex min-h-11 cursor-pointer items-center gap-1.5 px-3 font-medium">
        <Icon name="folded" className="group-open:rotate-90" />
        {title}
        {count > 0 && <span className="nums text-ink-soft">({count})</span>}
      </summary>
      <div className="border-t border-line p-3">{children}</div>
    </details>
  );
}
