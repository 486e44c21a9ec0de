import { expect, test } from 'vitest';

import { Samples, SAMPLES_MAX } from './samples.ts';

function filled(count: number): Samples {
  let samples = Samples.NONE;
  for (let index = 0; index < count; index++) samples = samples.with(index, index);
  return samples;
}

test('only the latest are kept, in order of time', () => {
  const samples = filled(5 * SAMPLES_MAX);
  expect(samples).toHaveLength(SAMPLES_MAX);
  expect(samples.all().map(({ value }) => value)).toEqual(
    Array.from({ length: SAMPLES_MAX }, (_, index) => 4 * SAMPLES_MAX + index),
  );
  expect(samples.last).toEqual({ at: 5 * SAMPLES_MAX - 1, value: 5 * SAMPLES_MAX - 1 });
});

test('what is not newer, or no number, changes nothing', () => {
  const samples = filled(3);
  for (const [at, value] of [
    [2, 9],
    [1, 9],
    [3, NaN],
    [3, Infinity],
  ] as const) {
    expect(samples.with(at, value)).toBe(samples);
  }
});

test('an earlier version stays as it was, and can go another way', () => {
  const samples = filled(3);
  const one = samples.with(10, 1);
  const other = samples.with(11, 2);
  expect(samples.all().map(({ at }) => at)).toEqual([0, 1, 2]);
  expect(one.all().map(({ at }) => at)).toEqual([0, 1, 2, 10]);
  expect(other.all().map(({ at }) => at)).toEqual([0, 1, 2, 11]);
  expect(Samples.NONE.all()).toEqual([]);
});
