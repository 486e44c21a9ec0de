import { expect, test } from 'vitest';

import { imageType } from './image.ts';
import { hex } from './testing.ts';

test.each([
  ['image/png', '89504e470d0a1a0a0000000d49484452'],
  ['image/jpeg', 'ffd8ffe000104a464946'],
  ['image/gif', '474946383961'],
  ['image/webp', '52494646240000005745425056503820'],
  ['image/avif', '0000001c667479706176696600000000'],
  ['image/avif', '0000001c667479706d696631000000006d69663161766966'],
  ['image/bmp', '424d3a0000000000000036000000280000000100'],
  ['image/bmp', '424d3a000000000000008a0000007c0000000100'],
  ['image/x-icon', '00000100010010100000010020006804000016000000'],
  ['image/x-icon', '00000200010010100000050005006804000016000000'],
])('%s begins as %s', (type, beginning) => {
  expect(imageType(hex(beginning))).toBe(type);
});

test.each([
  ['nothing', ''],
  ['text about money', '424d57204d6f746f7261642047532031323530'],
  ['a video', '0000001c6674797069736f6d0000020069736f6d'],
  ['zeros', '00'.repeat(40)],
  ['small numbers', '0000010002000300040005000600'],
  ['more small numbers', '000001000200030004000500060007000800090010001100'],
  ['SVG, which may hold what nobody asked for', '3c737667206f6e6c6f61643d22616c6572742831'],
])('%s is no picture', (_, beginning) => {
  expect(imageType(hex(beginning))).toBeUndefined();
});
