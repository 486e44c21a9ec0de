/** Recent values as a small line. Time runs to scale, so a silence shows as a gap and not as a straight line. */
import { memo } from 'react';

import { noiseOf, numberText } from './field-text.ts';
import type { Field } from './model.ts';
import type { Sample } from './samples.ts';

const WIDTH = 240;
const HEIGHT = 52;
/** Room for the stroke at the edges. */
const MARGIN = 3;
/** The drawing spans at least and at most this much time; in between it grows with what there is. */
const WINDOW_MIN_MS = 30_000;
const WINDOW_MAX_MS = 120_000;
/** The same for values that come when they please. */
const WINDOW_RARE_MAX_MS = 6 * 3_600_000;

interface Point {
  x: number;
  y: number;
  at: number;
}

export interface Curve {
  low: number;
  high: number;
  /** Runs without a gap, oldest first. */
  runs: Point[][];
}

interface Props {
  field: Field | undefined;
  /** A longer time without a value is a gap. */
  silenceMs: number | undefined;
  muted: boolean;
}

/** Not drawn again with every tick of the clock: it changes with its device alone. */
export const Sparkline = memo(function Sparkline({ field, silenceMs, muted }: Props) {
  const samples = field?.samples?.all() ?? [];
  const unit = field?.unit;
  const curve = curveOf(samples, silenceMs, noiseOf(field?.value ?? null, unit));
  if (field === undefined || curve === undefined) {
    // Texts and switches have no curve; numbers will have one.
    const text = field?.value === undefined || typeof field.value === 'number' ? 'No values yet' : '';
    return <p className="flex h-13 items-center text-xs text-ink-faint">{text}</p>;
  }
  const last = curve.runs.at(-1)?.at(-1);
  const [low, high] = [numberText(curve.low, unit), numberText(curve.high, unit)];
  const label = `Recent values of ${field.label}, from ${low} to ${high}${unit === undefined ? '' : ` ${unit}`}`;
  return (
    <div className="flex gap-2">
      <svg
        role="img"
        aria-label={label}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        className={`h-13 min-w-0 grow overflow-visible ${muted ? 'text-ink-faint' : 'text-accent'}`}
      >
        <line
          x1="0"
          x2={WIDTH}
          y1={HEIGHT - 0.5}
          y2={HEIGHT - 0.5}
          className="stroke-line"
          vectorEffect="non-scaling-stroke"
        />
        {curve.runs.map((run) => (
          <g key={run[0]?.at}>
            <path d={areaPath(run)} fill="currentColor" opacity="0.1" />
            <path
              d={linePath(run)}
              fill="none"
              stroke="currentColor"
              strokeWidth="1.75"
              strokeLinecap="round"
              strokeLinejoin="round"
              vectorEffect="non-scaling-stroke"
            />
          </g>
        ))}
        {/* A stroke of no length with round ends stays round however the drawing is stretched. */}
        {last !== undefined && (
          <path
            d={`M${last.x} ${last.y}h0`}
            stroke="currentColor"
            strokeWidth="6"
            strokeLinecap="round"
            vectorEffect="non-scaling-stroke"
          />
        )}
      </svg>
      <div
        aria-hidden="true"
        className="nums flex w-9 shrink-0 flex-col justify-between text-right text-[0.6875rem] leading-none text-ink-faint"
      >
        {curve.high > curve.low && (
          <>
            <span>{high}</span>
            <span>{low}</span>
          </>
        )}
      </div>
    </div>
  );
});

/** Less than `noise` between the lowest and the highest value does not fill the height. */
export function curveOf(
  samples: readonly Sample[],
  silenceMs: number | undefined,
  noise: number,
): Curve | undefined {
  const end = samples.at(-1)?.at;
  if (end === undefined) return undefined;
  const windowMaxMs = silenceMs === undefined ? WINDOW_RARE_MAX_MS : WINDOW_MAX_MS;
  const shown = samples.filter((sample) => end - sample.at <= windowMaxMs);
  const windowMs = Math.max(WINDOW_MIN_MS, end - (shown[0]?.at ?? end));
  const values = shown.map((sample) => sample.value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  // In halves, because the distance between two numbers need not be a number.
  const middle = low / 2 + high / 2;
  const reach = Math.max(high / 2 - low / 2, noise / 2, Number.MIN_VALUE);

  const runs: Point[][] = [];
  let before = -Infinity;
  for (const { at, value } of shown) {
    const x = MARGIN + (1 - (end - at) / windowMs) * (WIDTH - 2 * MARGIN);
    const y = HEIGHT / 2 - ((value - middle) / reach) * (HEIGHT / 2 - MARGIN);
    const point = { x: round(x), y: round(y), at };
    const run = runs.at(-1);
    if (run === undefined || at - before > (silenceMs ?? Infinity)) runs.push([point]);
    else run.push(point);
    before = at;
  }
  return { low, high, runs };
}

function linePath(run: Point[]): string {
  return run.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join('');
}

function areaPath(run: Point[]): string {
  const first = run[0];
  const last = run.at(-1);
  if (first === undefined || last === undefined) return '';
  return `${linePath(run)}L${last.x} ${HEIGHT}L${first.x} ${HEIGHT}Z`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
