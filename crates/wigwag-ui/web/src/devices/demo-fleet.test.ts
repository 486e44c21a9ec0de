import { expect, test } from 'vitest';

import { demoLine } from './demo-fleet.ts';

test.each([
  ['ws://lab:3000/mqtt', undefined, 'ws://lab:3000/mqtt'],
  ['wss://lab/mqtt', 'joe@home', 'wss://joe%40home:PASSWORD@lab/mqtt'],
  ['ws://[::1]:9001', undefined, "'ws://[::1]:9001'"],
  ["ws://lab/$(reboot)?a='b", undefined, "'ws://lab/$(reboot)?a='\\''b'"],
])('%s as %s is safe in a shell', (url, userName, broker) => {
  expect(demoLine(url, userName)).toBe(`wigwag simulate dashboard --count 20 --broker ${broker}`);
});
