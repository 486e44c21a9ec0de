/** Single keys of one page, under the conditions of `keys.ts`: not while somebody types, and not when they are turned off. */
import { useEffect } from 'react';

import { useSettings } from './settings.ts';
import { isTyping } from './useKeys.ts';

/** What takes a space by itself. */
const PRESSED_BY_SPACE = 'button, summary, a, input, [role=tab], [role=option], [role=listbox], pre';

/** `keys` has to stay the same object as long as its actions do. */
export function usePageKeys(keys: Readonly<Record<string, () => void>>): void {
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
      if (act === undefined || event.defaultPrevented || event.isComposing || event.repeat) return;
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      if (!useSettings.getState().singleKeys || document.querySelector('dialog[open]') !== null) return;
      if (
        event.key === ' ' &&
        event.target instanceof Element &&
        event.target.closest(PRESSED_BY_SPACE) !== null
      )
        return;
      event.preventDefault();
      act();
    };
    window.addEventListener('keydown', listen);
    return () => {
      window.removeEventListener('keydown', listen);
    };
  }, [keys]);
}
