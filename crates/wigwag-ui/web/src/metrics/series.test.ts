import { describe, expect, test } from 'vitest';

import type { Column } from './recording.ts';
import { Recorder } from './recording.ts';
import { quantile, quantileOf, rate, select, sum } from './series.ts';

describe('a rate', () => {
  test('is per second, whatever time has passed', () => {
    expect([...rate([0, 2_000, 12_000], [0, 20, 70])]).toEqual([NaN, 10, 5]);
  });

  test('is unknown where the counter began anew, and beside a gap', () => {
    expect([...rate([0, 1_000, 2_000], [9, 1, 3])]).toEqual([NaN, NaN, 2]);
    expect([...rate([0, 1_000, 2_000, 3_000], [1, NaN, 3, 4])]).toEqual([NaN, NaN, NaN, 1]);
  });
});

test('a sum takes what there is', () => {
  expect(sum([{ values: [1, NaN, NaN] }, { values: [2, 5, NaN] }], 3)).toEqual([3, 5, null]);
  expect(sum([], 2)).toEqual([null, null]);
});

test('columns are selected by name and labels', () => {
  const recorder = new Recorder();
  recorder.add(1, [
    { name: 'a', labels: { x: '1', y: '1' }, value: 1 },
    { name: 'a', labels: { x: '2', y: '1' }, value: 2 },
    { name: 'b', labels: { x: '1' }, value: 3 },
  ]);
  const found = (name: string, where?: Record<string, string>) =>
    select(recorder.recording(), name, where).map(({ values }) => values[0]);
  expect(found('a')).toEqual([1, 2]);
  expect(found('a', { x: '2' })).toEqual([2]);
  expect(found('c')).toEqual([]);
});

describe('a quantile', () => {
  test.each([
    [0.5, 0.1],
    [0.25, 0.05],
    [0.75, 0.15],
    [1, 0.2],
  ])('%s lies within its bucket', (q, expected) => {
    const buckets = [
      { bound: 0.1, count: 10 },
      { bound: 0.2, count: 20 },
      { bound: Infinity, count: 20 },
    ];
    expect(quantileOf(buckets, q)).toBeCloseTo(expected);
  });

  test('beyond the last bound is that bound', () => {
    const buckets = [
      { bound: 0.1, count: 0 },
      { bound: Infinity, count: 4 },
    ];
    expect(quantileOf(buckets, 0.5)).toBe(0.1);
  });

  test('of nothing is nothing', () => {
    expect(quantileOf([], 0.5)).toBeNull();
    expect(quantileOf([{ bound: Infinity, count: 0 }], 0.5)).toBeNull();
    expect(quantileOf([{ bound: Infinity, count: NaN }], 0.5)).toBeNull();
  });

  test('looks at the last ten seconds', () => {
    const bucket = (le: string, values: number[]): Column => ({
      name: 'b',
      labels: { le },
      values: Float64Array.from(values),
    });
    const times = [0, 5_000, 10_000, 15_000, 40_000];
    const buckets = [bucket('+Inf', [10, 20, 20, 20, 20]), bucket('1', [10, 20, 20, 20, 20])];
    expect(quantile(times, buckets, 0.5)).toEqual([null, 0.5, 0.5, null, null]);
  });
});
