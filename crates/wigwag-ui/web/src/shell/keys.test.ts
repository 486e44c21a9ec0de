import { describe, expect, test } from 'vitest';

import type { Stroke } from './keys.ts';
import { KeyReader } from './keys.ts';

const SCREENS = [
  { path: 'devices', key: 'd' },
  { path: 'settings', key: 's' },
];
const plain = { hasCommand: false, hasAlt: false, isTyping: false, at: 0 };

function read(strokes: (Partial<Stroke> & { key: string })[], hasSingleKeys = true) {
  const reader = new KeyReader(SCREENS);
  return strokes.map((stroke) => reader.read({ ...plain, ...stroke }, hasSingleKeys)).at(-1);
}

test.each<[string, (Partial<Stroke> & { key: string })[], unknown]>([
  ['g d', [{ key: 'g' }, { key: 'd' }], { kind: 'open', path: '/devices' }],
  ['g g s', [{ key: 'g' }, { key: 'g' }, { key: 's' }], { kind: 'open', path: '/settings' }],
  ['g and a key of no screen', [{ key: 'g' }, { key: 'x' }], undefined],
  ['g, another key, then d', [{ key: 'g' }, { key: 'x' }, { key: 'd' }], undefined],
  ['g and much later d', [{ key: 'g' }, { key: 'd', at: 2_000 }], undefined],
  ['g ?', [{ key: 'g' }, { key: '?' }], { kind: 'keys' }],
  ['d alone', [{ key: 'd' }], undefined],
  ['/', [{ key: '/' }], { kind: 'search' }],
  ['? while typing', [{ key: '?', isTyping: true }], undefined],
  ['Ctrl-K', [{ key: 'k', hasCommand: true }], { kind: 'palette' }],
  ['Ctrl-K while typing', [{ key: 'k', hasCommand: true, isTyping: true }], { kind: 'palette' }],
  ['Ctrl-Shift-K with caps lock', [{ key: 'K', hasCommand: true }], { kind: 'palette' }],
  ['Alt-/', [{ key: '/', hasAlt: true }], undefined],
])('%s', (_name, strokes, expected) => {
  expect(read(strokes)).toEqual(expected);
});

describe('single keys that are turned off', () => {
  test('do nothing, and Ctrl-K still works', () => {
    expect(read([{ key: '?' }], false)).toBeUndefined();
    expect(read([{ key: 'g' }, { key: 'd' }], false)).toBeUndefined();
    expect(read([{ key: 'k', hasCommand: true }], false)).toEqual({ kind: 'palette' });
  });
});
