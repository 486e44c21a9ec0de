import { afterEach, expect, test, vi } from 'vitest';

import { ask } from './api.ts';
import { browserNetwork } from './explorer/tree/topics-source.ts';
import { scrape } from './metrics/sources.ts';
import { Session } from './session.ts';
import { Station } from './station.ts';
import { brokerAt } from './testing.ts';

afterEach(() => {
  vi.unstubAllGlobals();
});

const listener = { handleMoment: () => undefined, handleFailure: () => undefined };
const port = { post: () => undefined, listen: () => undefined, end: () => undefined };
const station = new Station(port, brokerAt('ws://b'));

test.each<[string, () => unknown]>([
  ['the interface', () => ask('http://b/api/v1', 'history', {}, new AbortController().signal)],
  ['the session', () => new Session('http://b/api/v1', station).find()],
  ['the metrics', () => scrape('http://b/metrics', listener)],
  ['the reason for no tree', () => browserNetwork.ask('http://b/api/v1/topics')],
])('no window of the browser asks for a password: %s', async (_what, begin) => {
  const fetched = vi.fn<typeof fetch>(() => Promise.resolve(new Response('{}', { status: 401 })));
  vi.stubGlobal('fetch', fetched);
  void Promise.resolve(begin()).catch(() => undefined);
  await vi.waitFor(
    () => {
      expect(fetched).toHaveBeenCalled();
    },
    { timeout: 30_000 },
  );
  const headers = new Headers(fetched.mock.calls[0]?.[1]?.headers);
  expect(headers.get('x-requested-with')).toBe('wigwag');
});
