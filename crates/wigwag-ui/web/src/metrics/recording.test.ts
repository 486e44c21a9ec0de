import { expect, test } from 'vitest';

import { SAMPLES_MAX } from './exposition.ts';
import { KEPT_MS, MOMENTS_MAX, Recorder } from './recording.ts';

const sample = (name: string, value: number) => ({ name, labels: {}, value });

function values(recorder: Recorder, key: string): number[] | undefined {
  const column = recorder.recording().columns.get(key);
  return column && [...column.values];
}

test('what did not come at a moment is a gap', () => {
  const recorder = new Recorder();
  recorder.add(1_000, [sample('a', 1)]);
  recorder.add(2_000, [sample('a', 2), sample('b', 7)]);
  recorder.addGap(3_000);
  expect(recorder.recording().times).toEqual([1_000, 2_000, 3_000]);
  expect(values(recorder, 'a')).toEqual([1, 2, NaN]);
  expect(values(recorder, 'b')).toEqual([NaN, 7, NaN]);
});

test('a quarter of an hour is kept, and a column with nothing left goes', () => {
  const recorder = new Recorder();
  recorder.add(0, [sample('old', 1)]);
  recorder.add(1_000, [sample('a', 1)]);
  recorder.add(KEPT_MS + 500, [sample('a', 2)]);
  expect(recorder.recording().times).toEqual([1_000, KEPT_MS + 500]);
  expect(values(recorder, 'a')).toEqual([1, 2]);
  expect(values(recorder, 'old')).toBeUndefined();
  recorder.add(3 * KEPT_MS, [sample('a', 3)]);
  expect(values(recorder, 'a')).toEqual([3]);
});

test('moments are bounded, however close they are', () => {
  const recorder = new Recorder();
  for (let at = 0; at < MOMENTS_MAX + 10; at += 1) recorder.add(at, [sample('a', at)]);
  const kept = values(recorder, 'a') ?? [];
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([MOMENTS_MAX, 10, MOMENTS_MAX + 9]);
});

test('samples are bounded, and those beyond are counted', () => {
  const recorder = new Recorder();
  const many = Array.from({ length: SAMPLES_MAX + 3 }, (_, index) => sample(`s${index}`, index));
  recorder.add(1, many);
  expect(recorder.recording().columns.size).toBe(SAMPLES_MAX);
  expect(recorder.recording().beyond).toBe(3);
});

test('a clock that is set back begins anew', () => {
  const recorder = new Recorder();
  recorder.add(2_000, [sample('a', 1)]);
  recorder.add(1_000, [sample('a', 2)]);
  expect(recorder.recording().times).toEqual([1_000]);
  expect(values(recorder, 'a')).toEqual([2]);
});

test('a recording does not change afterwards', () => {
  const recorder = new Recorder();
  recorder.add(1, [sample('a', 1)]);
  const before = recorder.recording();
  recorder.add(2, [sample('a', 2)]);
  expect(before.times).toEqual([1]);
  expect(before.columns.get('a')?.values).toEqual(new Float64Array([1]));
});
