import { expect, test } from 'vitest';

import { POINTS_MAX, Series } from './series.ts';

function seriesOf(...points: [at: number, value: number][]): Series {
  const series = new Series();
  for (const [at, value] of points) series.add(at, value);
  return series;
}

test('a window has its values and one on either side', () => {
  const series = seriesOf([1, 10], [2, 20], [3, 30], [4, 40], [5, 50]);
  expect(series.window({ from: 2.5, to: 3.5 }, 100)).toEqual({ times: [2, 3, 4], values: [20, 30, 40] });
  expect(series.within({ from: 2, to: 3 })).toEqual([
    { at: 2, value: 20 },
    { at: 3, value: 30 },
  ]);
});

test('a silence is a gap', () => {
  const series = seriesOf([0, 1], [10, 2], [50, 3]);
  expect(series.window({ from: 0, to: 50 }, 20)).toEqual({ times: [0, 10, 30, 50], values: [1, 2, null, 3] });
});

test('what comes twice, late, or is no number is not taken', () => {
  const series = seriesOf([2, 1], [2, 9], [1, 9], [3, NaN], [4, 5]);
  expect(series.within({ from: 0, to: 9 }).map(({ value }) => value)).toEqual([1, 5]);
});

test('the oldest go first', () => {
  const series = new Series();
  for (let at = 1; at <= 3 * POINTS_MAX + 7; at++) {
    series.add(at, at);
    expect(series.firstAt).toBe(Math.max(1, at - POINTS_MAX + 1));
  }
  expect(series.within({ from: 0, to: Infinity })).toHaveLength(POINTS_MAX);
  expect(series.window({ from: 0, to: Infinity }, 10).times).toHaveLength(POINTS_MAX);
});

test('a summary is of the window alone', () => {
  const series = seriesOf([1, 1000], [2, 10], [3, 20]);
  expect(series.summary({ from: 2, to: 3 })).toEqual({ low: 10, high: 20, mean: 15 });
  expect(series.summary({ from: 4, to: 5 })).toBeUndefined();
  expect(seriesOf([1, 1e308], [2, 1e308]).summary({ from: 0, to: 9 })?.mean).toBe(1e308);
});
