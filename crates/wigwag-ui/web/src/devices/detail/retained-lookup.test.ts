import { beforeEach, expect, test, vi } from 'vitest';

import type { Incoming } from '../../mqtt/protocol.ts';
import { REFRESH_MS } from '../health.ts';
import { RetainedLookup, TOPICS_MAX } from './retained-lookup.ts';

let watched: { filter: string; handle: (message: Incoming) => void } | undefined;
let lookup: RetainedLookup;

beforeEach(() => {
  vi.useFakeTimers();
  lookup = new RetainedLookup(['device/7/#'], (filter, handle) => {
    watched = { filter, handle };
    return () => (watched = undefined);
  });
});

function receive(topic: string, text: string, retain = true): void {
  watched?.handle({ topic, text, bytes: text.length, retain, qos: 0, at: 0 });
}

function view() {
  vi.advanceTimersToNextFrame();
  return lookup.snapshot();
}

test('finds what is retained, and only that, and leaves', () => {
  lookup.look();
  expect(watched?.filter).toBe('device/7/#');
  receive('device/7/state', '{}');
  receive('device/7/config', 'x');
  receive('device/7/event', 'live', false);
  expect(view()).toMatchObject({ isLooking: true, beyond: 0 });
  expect(view().topics.map(({ topic }) => topic)).toEqual(['device/7/config', 'device/7/state']);
  vi.advanceTimersByTime(REFRESH_MS);
  expect(watched).toBeUndefined();
  expect(view().isLooking).toBe(false);
});

test('a second look begins anew, and there is only one at a time', () => {
  lookup.look();
  receive('device/7/gone', 'x');
  lookup.look();
  receive('device/7/here', 'x');
  expect(view().topics.map(({ topic }) => topic)).toEqual(['device/7/here']);
  lookup.stop();
  expect(watched).toBeUndefined();
});

test('what is too much is counted', () => {
  lookup.look();
  for (let index = 0; index < TOPICS_MAX + 3; index++) receive(`device/7/${index}`, 'x'.repeat(5_000));
  expect(view().topics).toHaveLength(TOPICS_MAX);
  expect(view().beyond).toBe(3);
  expect(view().topics[0]?.text.length).toBeLessThan(1_000);
});
