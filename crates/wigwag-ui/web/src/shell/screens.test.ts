import { expect, test } from 'vitest';

import { SCREENS } from './screens.tsx';

/** What the server that brings the page answers itself. */
const RESERVED = ['assets', 'api', 'metrics', 'healthz', 'readyz', 'config.json'];

test('every screen has an address and a key of its own', () => {
  const paths = SCREENS.map(({ path }) => path);
  const keys = SCREENS.map(({ key }) => key);
  expect(new Set(paths).size).toBe(paths.length);
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys).not.toContain('g');
});

test('no screen is at an address that the server answers itself', () => {
  for (const { path } of SCREENS) expect(RESERVED).not.toContain(path);
});
