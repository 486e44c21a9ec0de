import { expect, test } from 'vitest';

import { loginCautions } from './login-cautions.ts';

test.each([
  ['wss://b.example:8084/mqtt', false, []],
  ['ws://localhost:9001', false, []],
  ['ws://127.0.0.1:9001', false, []],
  ['ws://[::1]:9001', false, []],
  ['ws://127.example.org', false, ['in the clear']],
  ['ws://b.example', true, ['Go on only if you trust', 'in the clear']],
])('before a password goes to %s (from the address: %s)', (url, isChosen, expected) => {
  const cautions = loginCautions(url, isChosen);
  expect(cautions).toHaveLength(expected.length);
  for (const [index, words] of expected.entries()) expect(cautions[index]).toContain(words);
});
