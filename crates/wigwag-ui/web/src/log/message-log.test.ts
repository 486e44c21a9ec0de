import { beforeEach, expect, test, vi } from 'vitest';

import { ENTRIES_MAX, MessageLog, TEXT_CHARS_MAX } from './message-log.ts';

let log: MessageLog;

beforeEach(() => {
  vi.useFakeTimers();
  log = new MessageLog();
});

function add(text: string, problem?: string): void {
  log.add({ at: 0, direction: 'in', topic: 't', text, bytes: text.length, retain: false, qos: 0, problem });
}

function view() {
  vi.advanceTimersToNextFrame();
  return log.snapshot();
}

test('keeps the newest and counts all', () => {
  for (let index = 0; index < ENTRIES_MAX + 5; index++) add(String(index));
  const { entries, total } = view();
  expect(entries).toHaveLength(ENTRIES_MAX);
  expect(entries[0]?.text).toBe('5');
  expect(total).toBe(ENTRIES_MAX + 5);
});

test('keeps the beginning of a huge payload', () => {
  add('x'.repeat(60_000));
  const [entry] = view().entries;
  expect(entry?.text).toHaveLength(TEXT_CHARS_MAX);
  expect(entry?.bytes).toBe(60_000);
});

test('paused, shows what it showed and counts what comes', () => {
  add('a');
  log.pause();
  add('b');
  log.addSkipped(10);
  expect(view()).toMatchObject({ paused: true, held: 11, total: 12 });
  expect(view().entries.map(({ text }) => text)).toEqual(['a']);
  log.resume();
  expect(view()).toMatchObject({ paused: false, held: 0 });
  expect(view().entries.map(({ text }) => text)).toEqual(['a', 'b']);
});

test('cleared, is empty, paused or not', () => {
  add('a', 'bad');
  log.pause();
  log.clear();
  add('b');
  expect(view()).toMatchObject({ entries: [], total: 1, invalid: 0, held: 1 });
  log.resume();
  expect(view().entries.map(({ seq, text }) => [seq, text])).toEqual([[2, 'b']]);
});

test('counts what was invalid', () => {
  add('a', 'bad');
  add('b');
  expect(view().invalid).toBe(1);
});

test('of a flood the view changes a few times a second, of single messages with each frame', () => {
  const listener = vi.fn();
  log.subscribe(() => {
    log.snapshot();
    listener();
  });
  for (let ms = 0; ms < 1_000; ms += 10) {
    for (let count = 0; count < 10; count++) add('flood');
    vi.advanceTimersByTime(10);
  }
  expect(listener.mock.calls.length).toBeGreaterThanOrEqual(3);
  expect(listener.mock.calls.length).toBeLessThanOrEqual(8);
  vi.advanceTimersByTime(1_000);
  listener.mockClear();
  for (let count = 0; count < 5; count++) {
    add('single');
    vi.advanceTimersByTime(50);
  }
  expect(listener).toHaveBeenCalledTimes(5);
});

test('what was before stands before it, as far as there is room', () => {
  const past = (at: number) =>
    ({ at, direction: 'in', topic: 't', text: `${at}`, bytes: 1, retain: false, qos: 0 }) as const;
  const at = (time: number): void => {
    log.add({ ...past(time), problem: undefined });
  };
  at(10);
  at(11);
  const before = (...times: number[]): void => {
    log.addPast(times.map((time) => ({ ...past(time), problem: undefined })));
  };
  before(7, 8, 10);
  before(1, 2);
  expect(view().entries.map((entry) => entry.text)).toEqual(['1', '2', '7', '8', '10', '11']);
  const numbers = view().entries.map(({ seq }) => seq);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  log.clear();
  at(5_000);
  before(...Array.from({ length: ENTRIES_MAX + 5 }, (_, index) => index));
  expect([view().entries.length, view().entries[0]?.text, view().total]).toEqual([
    ENTRIES_MAX,
    '6',
    ENTRIES_MAX + 6,
  ]);
});
