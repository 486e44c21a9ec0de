/** Light, dark, or as the system has it. */
import * as RadioGroup from '@radix-ui/react-radio-group';

import type { IconName } from '../ui/icons.tsx';
import { Icon } from '../ui/icons.tsx';
import type { Theme } from './settings.ts';
import { THEMES, useSettings } from './settings.ts';

const FACES: Record<Theme, { icon: IconName; name: string }> = {
  light: { icon: 'sun', name: 'Light theme' },
  dark: { icon: 'moon', name: 'Dark theme' },
  system: { icon: 'system', name: 'Theme of the system' },
};

export function ThemeToggle() {
  const { theme, setTheme } = useSettings();
  return (
    <RadioGroup.Root
      aria-label="Theme"
      value={theme}
      onValueChange={(value) => {
        setTheme(value as Theme);
      }}
      className="flex rounded-xl bg-sunken p-0.5 md:flex-col"
    >
      {THEMES.map((value) => (
        <RadioGroup.Item
          key={value}
          value={value}
          aria-label={FACES[value].name}
          title={FACES[value].name}
          className="grid size-11 place-items-center rounded-[0.625rem] text-ink-faint hover:text-ink data-[state=checked]:bg-surface data-[state=checked]:text-ink data-[state=checked]:shadow-card md:size-9 pointer-coarse:size-11"
        >
          <Icon name={FACES[value].icon} />
        </RadioGroup.Item>
      ))}
    </RadioGroup.Root>
  );
}
