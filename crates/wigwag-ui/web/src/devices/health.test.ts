import { expect, test } from 'vitest';

import type { LinkView } from './health.ts';
import { health, REFRESH_MS } from './health.ts';
import type { Device } from './model.ts';
import { deviceWith } from './testing.ts';

const NOW = 1_000_000_000;
const CONNECTED: LinkView = {
  status: { phase: 'connected', since: NOW - 60_000, refused: [] },
  downSince: undefined,
};

function device(changes: Partial<Device>): Device {
  return deviceWith({ at: NOW }, changes);
}

test.each<[string, Partial<Device>, ReturnType<typeof health>]>([
  ['online while it publishes', {}, { kind: 'online' }],
  ['online until 6 s of silence are over', { stateAt: NOW - 6_000 }, { kind: 'online' }],
  [
    'stale when running and silent for longer',
    { stateAt: NOW - 6_001 },
    { kind: 'stale', since: NOW - 6_001 },
  ],
  [
    'not stale when nothing is expected of it, however long',
    { isSteady: false, stateAt: 0 },
    { kind: 'online' },
  ],
  ['offline when the broker says so', { presence: { online: false, heardAt: NOW } }, { kind: 'offline' }],
  ['unknown without presence', { presence: undefined }, { kind: 'unknown' }],
  ['stale without presence, too', { presence: undefined, stateAt: 0 }, { kind: 'stale', since: 0 }],
])('%s', (_name, changes, expected) => {
  expect(health(device(changes), CONNECTED, NOW)).toEqual(expected);
});

test('cut off since the connection was lost', () => {
  const link: LinkView = {
    status: { phase: 'waiting', retryAt: NOW, attempt: 1, reason: '' },
    downSince: NOW - 5_000,
  };
  expect(health(device({ stateAt: NOW - 7_000 }), link, NOW)).toEqual({
    kind: 'cut-off',
    since: NOW - 5_000,
  });
});

test('a presence from before the connection is void unless it is heard again', () => {
  const since = NOW - REFRESH_MS;
  const link: LinkView = { status: { phase: 'connected', since, refused: [] }, downSince: undefined };
  const before = device({ isSteady: false, presence: { online: true, heardAt: since - 60_000 } });
  expect(health(before, link, NOW - 1)).toEqual({ kind: 'online' });
  expect(health(before, link, NOW)).toEqual({ kind: 'unknown' });
  const again = device({ isSteady: false, presence: { online: true, heardAt: since + 20 } });
  expect(health(again, link, NOW)).toEqual({ kind: 'online' });
});
