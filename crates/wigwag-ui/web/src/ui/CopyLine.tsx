/** A line for a terminal, with a button that copies it. */
import { useRef, useState } from 'react';

import { Button } from './Button.tsx';

interface Props {
  text: string;
  label: string;
}

export function CopyLine({ text, label }: Props) {
  const line = useRef<HTMLElement>(null);
  const [outcome, setOutcome] = useState<'copied' | 'selected'>();

  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setOutcome('copied');
    } catch {
      // Without https there is no clipboard: leave the rest to the keyboard.
      if (line.current !== null) getSelection()?.selectAllChildren(line.current);
      setOutcome('selected');
    }
  };

  return (
    <div className="flex w-full flex-col items-stretch gap-2 sm:flex-row sm:items-center rounded-lg border border-line bg-sunken p-1.5 text-left">
      <code
        ref={line}
        className="min-w-0 grow self-center px-2 py-1.5 font-mono text-xs leading-relaxed wrap-anywhere"
        tabIndex={0}
      >
        {text}
      </code>
      <Button
        label={label}
        icon={outcome === 'copied' ? 'check' : 'copy'}
        onClick={() => {
          void copy();
        }}
      >
        <span aria-live="polite">
          {outcome === 'copied' ? 'Copied' : outcome === 'selected' ? 'Press Ctrl+C' : 'Copy'}
        </span>
      </Button>
    </div>
  );
}
