import { beforeEach, expect, test, vi } from 'vitest';

import { BUDGET_MS, FRAME_WITHIN_MS, Pace } from './pace.ts';

const FRAME_MS = 17;
let pace: Pace;
let told: number;

beforeEach(() => {
  vi.useFakeTimers();
  pace = new Pace();
  told = 0;
});

/** Reads something for so long. */
function take(ms: number): void {
  const now = performance.now.bind(performance);
  let spent = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now() + spent);
  pace.take(
    () => {
      spent = ms;
    },
    () => told++,
  );
  vi.restoreAllMocks();
}

test('more is taken at once while there is time in the frame', () => {
  take(BUDGET_MS / 4);
  take(BUDGET_MS / 4);
  expect(told).toBe(2);
});

test('what has taken its time lets a frame come first', () => {
  take(BUDGET_MS / 2);
  take(BUDGET_MS / 2);
  expect(told).toBe(1);
  vi.advanceTimersByTime(FRAME_MS);
  expect(told).toBe(2);
  take(BUDGET_MS / 2);
  expect(told).toBe(3);
  vi.advanceTimersByTime(10 * FRAME_WITHIN_MS);
  expect(told).toBe(3);
});

test('what was long ago takes no time from the frame', () => {
  take(BUDGET_MS / 2);
  vi.advanceTimersByTime(2 * FRAME_WITHIN_MS);
  take(BUDGET_MS / 2);
  expect(told).toBe(2);
});

test('a page without frames goes on all the same', () => {
  vi.stubGlobal('requestAnimationFrame', () => 0);
  take(2 * BUDGET_MS);
  expect(told).toBe(0);
  vi.advanceTimersByTime(FRAME_WITHIN_MS);
  vi.unstubAllGlobals();
  expect(told).toBe(1);
});

test('a page that nobody sees does not wait for frames', () => {
  const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
  pace.take(
    () => {
      vi.setSystemTime(Date.now() + 1_000);
    },
    () => told++,
  );
  hidden.mockRestore();
  expect(told).toBe(1);
});

test('also after what could not be read, more is taken', () => {
  expect(() => {
    pace.take(
      () => {
        throw new Error('stumbled');
      },
      () => told++,
    );
  }).toThrow('stumbled');
  expect(told).toBe(1);
});
