/** The themes by name, for wherever they can be chosen. */
import type { IconName } from '../ui/icons.tsx';
import type { Theme } from './settings.ts';

export const THEME_OPTIONS: readonly { value: Theme; name: string; icon: IconName }[] = [
  { value: 'light', name: 'Light', icon: 'sun' },
  { value: 'dark', name: 'Dark', icon: 'moon' },
  { value: 'system', name: 'As the system', icon: 'system' },
];
