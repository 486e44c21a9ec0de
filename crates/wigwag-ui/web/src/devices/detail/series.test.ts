import { describe, expect, test } from 'vitest';

import { DRAWN_MAX, Series } from './series.ts';

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
  const series = new Series(100);
  for (let at = 1; at <= 307; at++) {
    series.add(at, at);
    expect(series.firstAt).toBe(Math.max(1, at - 99));
  }
  expect(series.within({ from: 0, to: 999 })).toHaveLength(100);
  expect(series.window({ from: 0, to: 999 }, 10).times).toHaveLength(100);
  series.limit(10);
  expect([series.firstAt, series.isFull]).toEqual([298, true]);
});

describe('values from before', () => {
  function valuesOf(series: Series): number[] {
    return series.within({ from: 0, to: Infinity }).map(({ value }) => value);
  }

  test('stand between those that were heard, each once', () => {
    const series = seriesOf([10_000, 1], [12_000, 2], [20_000, 5]);
    const { version } = series;
    // The second is the one that we heard, by another clock; the fourth is another one of the same value.
    series.addPast([8_000, 10_300, 14_000, 16_000, 18_000, 18_000, 18_400], [9, 1, 3, 3, NaN, 4, 5]);
    expect(valuesOf(series)).toEqual([9, 1, 2, 3, 3, 4, 5, 5]);
    expect(series.version).not.toBe(version);
    series.addPast([8_000, 14_000], [9, 3]);
    expect(valuesOf(series)).toHaveLength(8);
  });

  test('have the better time, and are not heard again', () => {
    const series = seriesOf([10_000, 7]);
    series.addPast([10_600, 10_900], [9, 7]);
    expect(valuesOf(series)).toEqual([9, 7]);
    series.add(10_000, 7);
    const early = seriesOf([10_950, 7]);
    early.addPast([10_900], [7]);
    early.add(10_950, 7);
    expect(valuesOf(early)).toEqual([7]);
  });

  test('have no place when it is full', () => {
    const series = new Series(3);
    series.add(10_000, 1);
    series.addPast([1, 2, 3, 4], [1, 2, 3, 4]);
    expect([valuesOf(series), series.isFull]).toEqual([[3, 4, 1], true]);
  });
});

test('of more values than can be drawn, the lowest and highest of each moment are, and the gaps', () => {
  const series = new Series();
  const count = 20_000;
  for (let at = 0; at < count; at++) {
    if (at < 9_000 || at > 11_000) series.add(at, at === 5_555 ? 99 : at % 2);
  }
  const { times, values } = series.window({ from: 0, to: count }, 100);
  expect(times.length).toBeLessThan(DRAWN_MAX + 10);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect([values.includes(99), values.filter((value) => value === null).length]).toEqual([true, 1]);
  expect(Math.min(...values.filter((value) => value !== null))).toBe(0);
});

test('a summary is of the window alone', () => {
  const series = seriesOf([1, 1000], [2, 10], [3, 20]);
  expect(series.summary({ from: 2, to: 3 })).toEqual({ low: 10, high: 20, mean: 15 });
  expect(series.summary({ from: 4, to: 5 })).toBeUndefined();
  expect(seriesOf([1, 1e308], [2, 1e308]).summary({ from: 0, to: 9 })?.mean).toBe(1e308);
});
