/**
 * A modal dialog on the browser's own `<dialog>`, which keeps the focus, closes with Escape and makes the rest inert.
 * Libraries for this put `<style>` elements into the page, which its Content-Security-Policy forbids.
 */
import type { ReactNode } from 'react';
import { useEffect, useId, useRef } from 'react';

import { classNames } from './class-names.ts';
import { Icon } from './icons.tsx';

interface Props {
  title: string;
  /** For assistive technology only, where the look of the dialog says it. */
  isTitleHidden?: boolean;
  onClose: () => void;
  className?: string;
  children: ReactNode;
}

export function Dialog({ title, isTitleHidden = false, onClose, className, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    if (element?.open === false) element.showModal();
    return () => {
      element?.close();
      // The browser gives the focus back on close(), but not to what was opened from a dialog that is gone.
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        // The backdrop is part of the element itself; what is inside has its own targets.
        if (event.target === dialog.current) onClose();
      }}
      className={classNames(
        'm-auto max-h-[calc(100dvh-2rem)] w-full max-w-[calc(100vw-2rem)] rounded-card border border-line bg-surface text-ink shadow-card backdrop:bg-backdrop',
        className,
      )}
    >
      <h2
        id={titleId}
        className={isTitleHidden ? 'sr-only' : 'px-5 pt-5 pr-14 text-lg font-semibold tracking-tight'}
      >
        {title}
      </h2>
      {children}
      {/* Last, so that the dialog begins with the focus on what it is about. */}
      {!isTitleHidden && (
        <button
          type="button"
          aria-label="Close"
          onClick={onClose}
          className="absolute top-2.5 right-2.5 grid size-11 place-items-center rounded-lg text-ink-soft hover:bg-sunken hover:text-ink"
        >
          <Icon name="close" />
        </button>
      )}
    </dialog>
  );
}
