/** What the user chose for this browser: the theme. `public/theme.js` reads the same entry before the first paint. */
import { create } from 'zustand';
import { persist } from 'zustand/middleware';

export const THEMES = ['light', 'dark', 'system'] as const;
export type Theme = (typeof THEMES)[number];

interface Settings {
  theme: Theme;
  setTheme: (theme: Theme) => void;
}

export const useSettings = create<Settings>()(
  persist(
    (set) => ({
      theme: 'system',
      setTheme: (theme) => {
        set({ theme });
      },
    }),
    { name: 'wigwag.settings', version: 1, partialize: ({ theme }) => ({ theme }) },
  ),
);

export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
