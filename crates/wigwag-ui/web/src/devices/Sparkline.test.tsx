import { render, screen } from '@testing-library/react';
import { expect, test } from 'vitest';

import { curveOf, Sparkline } from './Sparkline.tsx';

function samples(...values: [seconds: number, temperature: number][]) {
  return values.map(([seconds, temperature]) => ({ at: seconds * 1_000, temperature }));
}

test('a silence of more than three periods is a gap', () => {
  const curve = curveOf(samples([0, 36], [2, 37], [4, 36], [12, 38], [14, 37]));
  expect(curve?.runs.map((run) => run.length)).toEqual([3, 2]);
  expect([curve?.low, curve?.high]).toEqual([36, 38]);
});

test('what is older than two minutes is left out', () => {
  expect(curveOf(samples([0, 99], [121, 37]))?.high).toBe(37);
});

test('the newest value is at the right edge, and all stay inside the drawing', () => {
  const points = curveOf(samples([0, -40], [2, 85], [4, 20]))?.runs.flat() ?? [];
  expect(points.at(-1)?.x).toBe(237);
  for (const { x, y } of points) {
    expect(x).toBeGreaterThanOrEqual(0);
    expect(y).toBeGreaterThanOrEqual(0);
    expect(y).toBeLessThanOrEqual(52);
  }
});

test('extreme values give finite coordinates', () => {
  const points = curveOf(samples([0, -Number.MAX_VALUE], [2, Number.MAX_VALUE]))?.runs.flat() ?? [];
  expect(points.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
});

test('is described in words', () => {
  render(<Sparkline samples={samples([0, 36.04], [2, 37.5])} muted={false} />);
  expect(screen.getByRole('img', { name: 'Recent temperatures, from 36.0 to 37.5 °C' })).toBeTruthy();
});
