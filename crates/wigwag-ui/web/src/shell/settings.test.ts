import { beforeEach, expect, test } from 'vitest';

import { formatTime } from '../ui/format.ts';
import { useSettings } from './settings.ts';

beforeEach(async () => {
  localStorage.clear();
  useSettings.setState(useSettings.getInitialState());
  await useSettings.persist.rehydrate();
});

test('choices are kept in this browser, and nothing else is', () => {
  useSettings.getState().setTheme('dark');
  useSettings.getState().setSingleKeys(false);
  expect(Object.keys(localStorage)).toEqual(['wigwag.settings']);
  expect(JSON.parse(localStorage.getItem('wigwag.settings') ?? '')).toEqual({
    state: { theme: 'dark', timeStyle: '24', singleKeys: false },
    version: 1,
  });
});

test('what is stored and is no choice is left out', async () => {
  const state = { theme: 'pink', timeStyle: 'utc', singleKeys: 'yes', password: 'x' };
  localStorage.setItem('wigwag.settings', JSON.stringify({ state, version: 1 }));
  await useSettings.persist.rehydrate();
  expect(useSettings.getState()).toMatchObject({ theme: 'system', timeStyle: 'utc', singleKeys: true });
  expect(useSettings.getState()).not.toHaveProperty('password');
});

test('times are written as chosen', () => {
  useSettings.getState().setTimeStyle('utc');
  expect(formatTime(Date.UTC(2026, 0, 1, 12))).toBe('12:00:00Z');
});
