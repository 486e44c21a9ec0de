import { expect, test } from 'vitest';

import { visible, visibleStart } from './visible.ts';

test.each([
  ['plain', 'plain'],
  ['Zürich 東京', 'Zürich 東京'],
  ['a\tb\nc', 'a⟨0009⟩b⟨000A⟩c'],
  ['\u001b[31mred\u007f', '⟨001B⟩[31mred⟨007F⟩'],
  ['safe\u202egpj.exe', 'safe⟨202E⟩gpj.exe'],
  ['\u200ehidden\u200b\u2066', '⟨200E⟩hidden⟨200B⟩⟨2066⟩'],
  ['\ufeffmark', '⟨FEFF⟩mark'],
  ['line\u2028end', 'line⟨2028⟩end'],
  ['می\u200cخواهم', 'می\u200cخواهم'],
  ['👩\u200d🔬 ❤\ufe0f', '👩\u200d🔬 ❤\ufe0f'],
  ['<b>', '<b>'],
])('%j is shown as %j', (text, expected) => {
  expect(visible(text)).toBe(expected);
});

test('of a long name the beginning is shown', () => {
  expect(visibleStart('abc', 3)).toBe('abc');
  expect(visibleStart('ab\tcdef', 3)).toBe('ab⟨0009⟩…');
});
