/** Listens for the keys of `keys.ts` and does what they say. */
import { useEffect, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';

import type { KeyCommand } from './keys.ts';
import { KeyReader } from './keys.ts';
import { tabSearch } from './links.ts';
import { useOverlay } from './overlay.ts';
import { SCREENS } from './screens.tsx';
import { useSettings } from './settings.ts';

/** Where letters are text, or choose something. */
const TYPING =
  'input:not([type=checkbox], [type=radio], [type=button]), textarea, select, [contenteditable], [role=combobox]';

/** The focus is where letters are text. */
export function isTyping({ target }: KeyboardEvent): boolean {
  return target instanceof Element && target.closest(TYPING) !== null;
}

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** As it stands on the keyboard. */
export const COMMAND_KEY = isMac ? '⌘' : 'Ctrl';

export function useKeys(): void {
  const navigate = useNavigate();
  const search = tabSearch(useLocation().search);
  // It remembers a `g` while a screen is still coming in, which has the listener made anew.
  const [reader] = useState(() => new KeyReader(SCREENS));
  useEffect(() => {
    const perform = (command: KeyCommand): void => {
      const { show } = useOverlay.getState();
      switch (command.kind) {
        case 'open':
          void navigate({ pathname: command.path, search });
          break;
        case 'search':
          if (!focusSearch()) show('palette');
          break;
        case 'palette':
        case 'keys':
          show(command.kind);
      }
    };
    const listen = (event: KeyboardEvent): void => {
      // A page that has its own use for a key says so by preventing the default.
      if (event.defaultPrevented || event.isComposing) return;
      if (document.querySelector('dialog[open]') !== null) return;
      const command = reader.read(
        {
          key: event.key,
          hasCommand: isMac ? event.metaKey : event.ctrlKey,
          hasAlt: event.altKey || (isMac ? event.ctrlKey : event.metaKey),
          isTyping: isTyping(event),
          at: event.timeStamp,
        },
        useSettings.getState().singleKeys,
      );
      if (command === undefined) return;
      event.preventDefault();
      perform(command);
    };
    window.addEventListener('keydown', listen);
    return () => {
      window.removeEventListener('keydown', listen);
    };
  }, [reader, navigate, search]);
}

/** The page's own search field, if it has one. */
function focusSearch(): boolean {
  const field = document.querySelector<HTMLInputElement>('main input[type=search]');
  field?.focus();
  field?.select();
  return field !== null;
}
