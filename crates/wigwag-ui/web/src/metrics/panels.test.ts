import { describe, expect, test } from 'vitest';

import type { PanelSpec } from './panels.ts';
import { isBlank, isTold, LINES_MAX, linesOf, NATIVE_PANELS, SYS_PANELS } from './panels.ts';
import { Recorder } from './recording.ts';

const PANEL: PanelSpec = { title: '', about: '', unit: 'count', lines: [], promql: [] };

function recorded(name: string, label: string, rows: Record<string, number>[]) {
  const recorder = new Recorder();
  for (const [index, row] of rows.entries()) {
    const samples = Object.entries(row).map(([key, value]) => ({ name, labels: { [label]: key }, value }));
    recorder.add((index + 1) * 1_000, samples);
  }
  return recorder.recording();
}

test('a line sums what it selects, as it stands or as it grows', () => {
  const recording = recorded('m', 'way', [
    { in: 1, out: 10 },
    { in: 3, out: 14 },
  ]);
  const lines = linesOf(
    {
      ...PANEL,
      lines: [
        { name: 'all', of: 'm' },
        { name: 'in', of: 'm', where: { way: 'in' }, isRate: true },
        { name: 'half', of: 'm', where: { way: 'out' }, scale: 0.5 },
      ],
    },
    recording,
  );
  expect(lines).toEqual([
    { name: 'all', values: [11, 17] },
    { name: 'in', values: [null, 2] },
    { name: 'half', values: [5, 7] },
  ]);
});

describe('a line for each value of a label', () => {
  const panel: PanelSpec = { ...PANEL, lines: [{ each: 'd', by: 'reason' }] };

  test('is there for those that ever grow', () => {
    const recording = recorded('d', 'reason', [
      { queue_full: 1, acl: 7 },
      { queue_full: 3, acl: 7 },
    ]);
    expect(linesOf(panel, recording)).toEqual([{ name: 'queue full', values: [null, 2] }]);
  });

  test('is one that says so when all is quiet', () => {
    const recording = recorded('d', 'reason', [
      { a: 1, b: 2 },
      { a: 1, b: 2 },
    ]);
    expect(linesOf(panel, recording)).toEqual([{ name: 'none', values: [null, 0] }]);
    expect(isBlank(linesOf(panel, new Recorder().recording()))).toBe(true);
  });

  test('is one for all the small ones when they are many', () => {
    const count = LINES_MAX + 2;
    const names = Array.from({ length: count }, (_, index) => `r${index}`);
    const row = (factor: number) => Object.fromEntries(names.map((name, index) => [name, index * factor]));
    const lines = linesOf(panel, recorded('d', 'reason', [row(1), row(2)]));
    // The first does not grow, the largest seven have lines of their own: 1 and 2 are left.
    expect(lines).toHaveLength(LINES_MAX);
    expect(lines[0]).toEqual({ name: `r${count - 1}`, values: [null, count - 1] });
    expect(lines.at(-1)).toEqual({ name: '2 others', values: [null, 3] });
  });
});

test('a broker that says nothing of it leaves a panel untold', () => {
  const recording = recorded('other', 'x', [{ a: 1 }]);
  for (const panel of [...NATIVE_PANELS, ...SYS_PANELS]) {
    expect(isTold(panel, recording), panel.title).toBe(false);
    expect(isBlank(linesOf(panel, recording)), panel.title).toBe(true);
  }
});

test('a histogram without observations is told, and blank', () => {
  const panel: PanelSpec = { ...PANEL, lines: [{ name: 'p50', quantile: 0.5, of: 'b' }] };
  const recording = recorded('b', 'le', [{ '1': 0, '+Inf': 0 }]);
  expect([isTold(panel, recording), isBlank(linesOf(panel, recording))]).toEqual([true, true]);
});

test.each([
  ['native', NATIVE_PANELS],
  ['$SYS', SYS_PANELS],
])('the %s panels have titles of their own and a query', (_, panels) => {
  expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  for (const { title, promql } of panels) expect(promql.length, title).toBeGreaterThan(0);
});
