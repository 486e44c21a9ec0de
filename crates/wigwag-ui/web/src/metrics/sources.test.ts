import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { Incoming } from '../mqtt/protocol.ts';
import type { Exposition } from './exposition.ts';
import { scrape, SCRAPE_EVERY_MS, watchSys } from './sources.ts';

const NOW = new Date('2026-01-01T12:00:00Z').getTime();
const TEXT = { headers: { 'content-type': 'text/plain; version=0.0.4' } };

let moments: Exposition[];
let failures: string[];
const listener = {
  handleMoment: (_at: number, exposition: Exposition) => void moments.push(exposition),
  handleFailure: (_at: number, reason: string) => void failures.push(reason),
};

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  moments = [];
  failures = [];
});

function numbers(moment: Exposition | undefined): Record<string, number | undefined> {
  return Object.fromEntries(moment?.families.map(({ name, samples }) => [name, samples[0]?.value]) ?? []);
}

describe('/metrics', () => {
  const fetched = vi.fn<typeof fetch>();

  beforeEach(() => {
    fetched.mockReset();
    vi.stubGlobal('fetch', fetched);
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test('is asked again and again until it is stopped', async () => {
    fetched.mockImplementation(() => Promise.resolve(new Response('a 1\n', TEXT)));
    const stop = scrape('http://b/metrics', listener);
    await vi.advanceTimersByTimeAsync(0);
    expect(numbers(moments[0])).toEqual({ a: 1 });
    await vi.advanceTimersByTimeAsync(2 * SCRAPE_EVERY_MS);
    expect(moments).toHaveLength(3);
    stop();
    await vi.advanceTimersByTimeAsync(5 * SCRAPE_EVERY_MS);
    expect(moments).toHaveLength(3);
  });

  test('that cannot be had is told and asked for again', async () => {
    fetched.mockResolvedValueOnce(new Response('', { status: 401 }));
    fetched.mockResolvedValueOnce(new Response('<html>', { headers: { 'content-type': 'text/html' } }));
    fetched.mockRejectedValueOnce(new TypeError('Failed to fetch'));
    fetched.mockResolvedValueOnce(new Response('a 1\n', TEXT));
    const stop = scrape('http://b/metrics', listener);
    await vi.advanceTimersByTimeAsync(3 * SCRAPE_EVERY_MS);
    expect(failures).toEqual([
      'the server answers 401 to http://b/metrics',
      'http://b/metrics does not show metrics',
      'the server does not answer',
    ]);
    expect(moments).toHaveLength(1);
    stop();
  });
});

describe('the $SYS tree', () => {
  let hear: (topic: string, text: string) => void;
  const left = vi.fn();

  function open(): () => void {
    return watchSys((filter, handle) => {
      expect(filter).toBe('$SYS/#');
      hear = (topic, text) => {
        const message: Incoming = {
          topic,
          text,
          bytes: text.length,
          retain: false,
          qos: 0,
          at: Date.now(),
        };
        handle(message);
      };
      return left;
    }, listener);
  }

  test('is a moment when it is quiet again, with what has not changed', async () => {
    open();
    hear('$SYS/broker/clients/total', '3');
    hear('$SYS/broker/version', 'mosquitto version 2.0.11');
    hear('$SYS/broker/uptime', '10 seconds');
    await vi.advanceTimersByTimeAsync(1_000);
    hear('$SYS/broker/uptime', '20 seconds');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(moments.map(numbers)).toEqual([
      { '$SYS/broker/clients/total': 3, '$SYS/broker/uptime': 10 },
      { '$SYS/broker/clients/total': 3, '$SYS/broker/uptime': 20 },
    ]);
  });

  test('that is never quiet has moments as well', async () => {
    open();
    for (let count = 0; count < 100; count += 1) {
      hear('$SYS/a', String(count));
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(moments.length).toBeGreaterThanOrEqual(4);
  });

  test('forgets what is removed', async () => {
    open();
    hear('$SYS/a', '1');
    hear('$SYS/b', '1');
    hear('$SYS/a', '');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(moments.map(numbers)).toEqual([{ '$SYS/b': 1 }]);
  });

  test('is left when it is stopped', async () => {
    const stop = open();
    hear('$SYS/a', '1');
    stop();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(moments).toEqual([]);
    expect(left).toHaveBeenCalledOnce();
  });
});
