/**
 * Lines over time, drawn by uPlot. Follows the width of its place and the theme; tells which point is under the pointer,
 * so that a legend can show its values. Charts with the same `sync` share the pointer.
 */
import { useEffect, useLayoutEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import { formatTime } from '../format.ts';
import './chart.css';
import type { Palette } from './colours.ts';
import { lineDash, paletteOf, useThemeName } from './colours.ts';
import { lonely } from './lonely.ts';

export interface Line {
  name: string;
  /** As many as there are times; null is a gap. */
  values: readonly (number | null)[];
}

interface Props {
  /** What there is to see, in words: the drawing itself says nothing to a screen reader. */
  label: string;
  /** Milliseconds, ascending. */
  times: readonly number[];
  lines: readonly Line[];
  /** What is shown of it, in milliseconds. */
  from: number;
  to: number;
  /** How a value is written at the axis: short. */
  format: (value: number) => string;
  height?: number;
  /** Values are bytes: the axis has steps of KiB and not of 1,000. */
  isBinary?: boolean;
  /** The vertical axis begins with 0, as suits counts and rates. */
  isFromZero?: boolean;
  sync?: string;
  /** Which of `times` is under the pointer, if any. */
  onPoint?: (index: number | undefined) => void;
}

const HEIGHT = 150;
/** A drawing of all zeros, or of one value only, still needs a span. */
const SPAN_MIN = 1e-9;
const MINUTE_MS = 60_000;
const BINARY_STEPS = Array.from({ length: 54 }, (_, power) => 2 ** power);

export function Chart(props: Props) {
  const { label, times, lines, from, to, height = HEIGHT, sync } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(props);
  const theme = useThemeName();
  const shape = lines.map(({ name }) => name).join('\n');

  useLayoutEffect(() => {
    latest.current = props;
  });
  useLayoutEffect(() => {
    const element = place.current;
    if (element === null) return;
    const drawn = new uPlot(options(element, latest, height, sync), dataOf(latest.current), element);
    plot.current = drawn;
    const observer = new ResizeObserver((entries) => {
      const width = entries.at(-1)?.contentRect.width ?? 0;
      if (width > 0) drawn.setSize({ width, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      drawn.destroy();
      plot.current = undefined;
    };
  }, [shape, height, sync, theme]);
  useEffect(() => {
    const drawn = plot.current;
    drawn?.batch(() => {
      drawn.setData(dataOf(latest.current), false);
      drawn.setScale('x', { min: from, max: to });
    });
  }, [times, lines, from, to, shape, height, sync, theme]);

  return <div ref={place} role="img" aria-label={label} style={{ height }} className="min-w-0" />;
}

function dataOf({ times, lines }: Props): uPlot.AlignedData {
  // uPlot does not change what it is given.
  return [times as number[], ...lines.map(({ values }) => values as (number | null)[])];
}

function options(
  place: HTMLElement,
  latest: { readonly current: Props },
  height: number,
  sync: string | undefined,
): uPlot.Options {
  const palette = paletteOf(place);
  const { from, to, lines } = latest.current;
  return {
    width: Math.max(place.clientWidth, 1),
    height,
    ms: 1,
    legend: { show: false },
    // To the right, room for half of the last time at the axis.
    padding: [8, 24, 0, 0],
    cursor: {
      drag: { x: false, y: false },
      points: { size: 6 },
      ...(sync === undefined ? {} : { sync: { key: sync } }),
    },
    scales: {
      x: { time: true, range: () => [latest.current.from, latest.current.to], min: from, max: to },
      y: { range: (_, low, high) => span(low, high, latest.current.isFromZero ?? true) },
    },
    axes: [timeAxis(palette), valueAxis(palette, latest)],
    series: [{}, ...lines.map(({ name }, index) => stroke(name, index, palette))],
    hooks: {
      setCursor: [
        (drawn) => {
          latest.current.onPoint?.(drawn.cursor.idx ?? undefined);
        },
      ],
    },
  };
}

/** uPlot passes null, whatever its types say, when there is nothing to see. */
function span(low: number | null, high: number | null, isFromZero: boolean): [number, number] {
  if (low === null || high === null) return [0, 1];
  const least = isFromZero ? Math.min(low, 0) : low;
  const most = isFromZero ? Math.max(high, 0) : high;
  if (most - least < SPAN_MIN) return isFromZero && most <= 0 ? [0, 1] : [least - 1, most + 1];
  const room = (most - least) * 0.08;
  return [isFromZero && least === 0 ? 0 : least - room, most + room];
}

function stroke(name: string, index: number, palette: Palette): uPlot.Series {
  const colour = palette.lines[index % palette.lines.length] ?? palette.text;
  return {
    label: name,
    stroke: colour,
    width: 1.5,
    dash: [...lineDash(index)],
    points: {
      show: false,
      size: 5,
      fill: colour,
      filter: (drawn, series) => {
        const [first, last] = drawn.series[0]?.idxs ?? [0, -1];
        return lonely(drawn.data[series] ?? [], first, last);
      },
    },
  };
}

const FONT = '11px "Inter Variable", system-ui, sans-serif';

function timeAxis({ grid, text }: Palette): uPlot.Axis {
  return {
    stroke: text,
    font: FONT,
    size: 26,
    gap: 4,
    space: 72,
    grid: { show: false },
    ticks: { stroke: grid, size: 4, width: 1 },
    values: (_, splits, __, ___, step) => splits.map((at) => axisTime(at, step)),
  };
}

function axisTime(at: number, stepMs: number): string {
  const time = formatTime(at);
  return stepMs >= MINUTE_MS ? time.replace(/(\d\d?:\d\d):\d\d/, '$1') : time;
}

function valueAxis({ grid, text }: Palette, latest: { readonly current: Props }): uPlot.Axis {
  return {
    stroke: text,
    font: FONT,
    size: 58,
    gap: 6,
    space: 34,
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
    ...(latest.current.isBinary === true ? { incrs: BINARY_STEPS } : {}),
    values: (_, splits) => splits.map((value) => latest.current.format(value)),
  };
}
