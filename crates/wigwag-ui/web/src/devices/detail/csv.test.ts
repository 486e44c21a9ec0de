import { expect, test } from 'vitest';

import { csvOf } from './csv.ts';
import { Series } from './series.ts';

const T = Date.UTC(2026, 0, 1);

test('a line per time, a column per field, only of the window', () => {
  const temperature = new Series();
  temperature.add(T, 1);
  temperature.add(T + 1_000, 37.5);
  temperature.add(T + 2_000, -1e-9);
  const voltage = new Series();
  voltage.add(T + 2_000, 3.7);
  const series = new Map([
    ['temperature', temperature],
    ['battery.voltage', voltage],
  ]);
  expect(csvOf(series, { from: T + 1, to: T + 9_999 })).toBe(
    'time,temperature,battery.voltage\r\n' +
      '2026-01-01T00:00:01.000Z,37.5,\r\n' +
      '2026-01-01T00:00:02.000Z,-1e-9,3.7\r\n',
  );
});

test('names cannot break out of their cell or become formulas', () => {
  const names = ['=HYPERLINK("x")', 'a,b', 'a"b', 'a\nb'];
  const series = new Map(names.map((name) => [name, new Series()]));
  expect(csvOf(series, { from: 0, to: 1 })).toBe(`time,"'=HYPERLINK(""x"")","a,b","a""b","a\nb"\r\n`);
});
