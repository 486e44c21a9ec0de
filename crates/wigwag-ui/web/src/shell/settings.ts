/**
 * What the user chose for this browser. `public/theme.js` reads the theme from the same entry before the first paint.
 * Nothing that anybody must not know is ever in here.
 */
import { create } from 'zustand';
import { persist } from 'zustand/middleware';

import type { TimeStyle } from '../ui/format.ts';
import { setTimeStyle, TIME_STYLES } from '../ui/format.ts';

export const THEMES = ['light', 'dark', 'system'] as const;
export type Theme = (typeof THEMES)[number];

interface Choices {
  theme: Theme;
  timeStyle: TimeStyle;
  /** Keys without Ctrl, which get in the way of speech input. */
  singleKeys: boolean;
}

interface Settings extends Choices {
  setTheme: (theme: Theme) => void;
  setTimeStyle: (style: TimeStyle) => void;
  setSingleKeys: (on: boolean) => void;
}

export const useSettings = create<Settings>()(
  persist(
    (set) => ({
      theme: 'system',
      timeStyle: '24',
      singleKeys: true,
      setTheme: (theme) => {
        set({ theme });
      },
      setTimeStyle: (timeStyle) => {
        set({ timeStyle });
      },
      setSingleKeys: (singleKeys) => {
        set({ singleKeys });
      },
    }),
    {
      name: 'wigwag.settings',
      version: 1,
      partialize: ({ theme, timeStyle, singleKeys }): Choices => ({ theme, timeStyle, singleKeys }),
      merge: (stored, settings) => ({ ...settings, ...readChoices(stored) }),
    },
  ),
);

applyTimeStyle(useSettings.getState());
useSettings.subscribe(applyTimeStyle);

function applyTimeStyle({ timeStyle }: Choices): void {
  setTimeStyle(timeStyle);
}

export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** What is stored may be from another version, or from somebody's hand: only what is a choice counts. */
function readChoices(stored: unknown): Partial<Choices> {
  if (typeof stored !== 'object' || stored === null) return {};
  const { theme, timeStyle, singleKeys } = stored as Record<keyof Choices, unknown>;
  return {
    ...pick('theme', THEMES, theme),
    ...pick('timeStyle', TIME_STYLES, timeStyle),
    ...(typeof singleKeys === 'boolean' ? { singleKeys } : {}),
  };
}

function pick<Name extends string, Value>(
  name: Name,
  allowed: readonly Value[],
  value: unknown,
): Partial<Record<Name, Value>> {
  const found = allowed.find((one) => one === value);
  return found === undefined ? {} : ({ [name]: found } as Partial<Record<Name, Value>>);
}
