/** A button that asks for a file. The browser's own field stays where the keyboard finds it; the button is its label. */
import type { ReactNode } from 'react';
import { useId } from 'react';

import { Icon } from '../../ui/icons.tsx';

interface Props {
  accept?: string;
  onPick: (file: File) => void;
  children: ReactNode;
}

export function FilePicker({ accept, onPick, children }: Props) {
  const id = useId();
  return (
    <span className="relative inline-flex">
      <input
        id={id}
        type="file"
        accept={accept}
        className="peer sr-only"
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          // The same file may be chosen again, and has changed meanwhile perhaps.
          event.target.value = '';
          if (file !== undefined) onPick(file);
        }}
      />
      <label
        htmlFor={id}
        className="inline-flex h-11 cursor-pointer items-center gap-1.5 rounded-lg border border-line-strong bg-surface px-3.5 font-medium whitespace-nowrap peer-focus-visible:outline-2 peer-focus-visible:outline-offset-2 peer-focus-visible:outline-accent hover:bg-sunken md:h-9 pointer-coarse:h-11"
      >
        <Icon name="up" />
        {children}
      </label>
    </span>
  );
}
