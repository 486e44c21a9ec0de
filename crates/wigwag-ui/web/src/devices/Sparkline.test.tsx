import { render, screen } from '@testing-library/react';
import { expect, test } from 'vitest';

import type { Sample } from './samples.ts';
import { curveOf, Sparkline } from './Sparkline.tsx';
import { deviceWith } from './testing.ts';

function samples(...values: [seconds: number, value: number][]) {
  return values.map(([seconds, value]) => ({ at: seconds * 1_000, value }));
}

function curve(of: Sample[]) {
  return curveOf(of, 6_000, 2);
}

test('a silence of more than three periods is a gap', () => {
  const drawn = curve(samples([0, 36], [2, 37], [4, 36], [12, 38], [14, 37]));
  expect(drawn?.runs.map((run) => run.length)).toEqual([3, 2]);
  expect([drawn?.low, drawn?.high]).toEqual([36, 38]);
});

test('what is older than two minutes is left out', () => {
  expect(curve(samples([0, 99], [121, 37]))?.high).toBe(37);
});

test('the newest value is at the right edge, and all stay inside the drawing', () => {
  const points = curve(samples([0, -40], [2, 85], [4, 20]))?.runs.flat() ?? [];
  expect(points.at(-1)?.x).toBe(237);
  for (const { x, y } of points) {
    expect(x).toBeGreaterThanOrEqual(0);
    expect(y).toBeGreaterThanOrEqual(0);
    expect(y).toBeLessThanOrEqual(52);
  }
});

test('extreme values give finite coordinates', () => {
  const points = curve(samples([0, -Number.MAX_VALUE], [2, Number.MAX_VALUE]))?.runs.flat() ?? [];
  expect(points.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
});

test('values that come when they please have no gaps, and longer to come', () => {
  const rare = curveOf(samples([0, 1], [3_600, 2], [9_000, 3]), undefined, 0);
  expect(rare?.runs.map((run) => run.length)).toEqual([3]);
});

test('one value for ever is a level line', () => {
  expect(curveOf(samples([0, 0], [2, 0]), 6_000, 0)?.runs[0]?.map(({ y }) => y)).toEqual([26, 26]);
});

test('is described in words', () => {
  const [field] = deviceWith({ temperature: 37.5 }).fields;
  if (field === undefined) throw new Error('no field');
  const more = { ...field, samples: field.samples?.with(Date.now() + 1_000, 36.04) };
  render(<Sparkline field={more} silenceMs={6_000} muted={false} />);
  const name = 'Recent values of temperature, from 36.0 to 37.5 °C';
  expect(screen.getByRole('img', { name })).toBeTruthy();
});
