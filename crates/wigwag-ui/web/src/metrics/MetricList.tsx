/**
 * Everything the broker counts: searchable, with what it is, what it is at the moment, and on demand its samples, its last
 * minutes and a query for Prometheus.
 */
import { memo, useId, useMemo } from 'react';

import { CopyLine } from '../ui/CopyLine.tsx';
import { formatCount } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import type { Family, Sample } from './exposition.ts';
import { selectorOf } from './exposition.ts';
import { Drawing } from './Panel.tsx';
import type { LineSpec } from './panels.ts';
import { LINES_MAX, linesOf } from './panels.ts';
import { fits, promqlOf } from './queries.ts';
import type { Recording } from './recording.ts';
import { formatValue, unitOf } from './units.ts';

/** So many are in the document; a search finds the others. */
const SHOWN_MAX = 300;
const SAMPLES_SHOWN_MAX = 100;

interface Props {
  families: readonly Family[];
  recording: Recording;
  spanMs: number;
  text: string;
  onText: (text: string) => void;
  /** The one that is open. */
  open: string | undefined;
  onOpen: (name: string | undefined) => void;
}

export function MetricList({ families, recording, spanMs, text, onText, open, onOpen }: Props) {
  const id = useId();
  const found = families.filter((family) => fits(family, text));
  return (
    <section aria-labelledby={id} className="flex min-w-0 flex-col gap-3">
      <header className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <h2 id={id} className="text-lg font-semibold tracking-tight">
          All metrics
        </h2>
        <p className="nums text-ink-soft" role="status">
          {text === ''
            ? formatCount(families.length)
            : `${formatCount(found.length)} of ${formatCount(families.length)}`}
        </p>
        <input
          type="search"
          aria-label="Search metrics"
          placeholder="Name or meaning"
          value={text}
          onChange={(event) => {
            onText(event.target.value);
          }}
          className="h-11 w-full min-w-0 rounded-lg border border-line-strong bg-surface px-3 text-base placeholder:text-ink-faint sm:ml-auto sm:w-72 md:h-9 md:text-sm pointer-coarse:h-11"
        />
      </header>
      {found.length > 0 && (
        <ul className="divide-y divide-line overflow-hidden rounded-card border border-line bg-surface shadow-card">
          {found.slice(0, SHOWN_MAX).map((family) => (
            <Row
              key={family.name}
              family={family}
              recording={recording}
              spanMs={spanMs}
              isOpen={family.name === open}
              onOpen={onOpen}
            />
          ))}
        </ul>
      )}
      {found.length === 0 && families.length > 0 && (
        <p className="text-ink-soft">No metric fits. Every word must be in its name or in what it is.</p>
      )}
      {found.length > SHOWN_MAX && (
        <p className="nums text-ink-soft">
          {formatCount(found.length - SHOWN_MAX)} more are not shown: search for them.
        </p>
      )}
    </section>
  );
}

interface RowProps extends Pick<Props, 'recording' | 'spanMs' | 'onOpen'> {
  family: Family;
  isOpen: boolean;
}

const Row = memo(function Row({ family, recording, spanMs, isOpen, onOpen }: RowProps) {
  const { name, kind, help } = family;
  return (
    <li>
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={() => {
          onOpen(isOpen ? undefined : name);
        }}
        className="grid min-h-11 w-full grid-cols-[1fr_auto] items-center gap-x-4 gap-y-0.5 px-4 py-2 text-left -outline-offset-2 hover:bg-sunken md:grid-cols-[minmax(0,1fr)_minmax(0,1.4fr)_7rem]"
      >
        <span className="flex min-w-0 items-center gap-2">
          <Icon name="folded" className={isOpen ? 'rotate-90' : ''} />
          <span className="min-w-0 font-mono text-xs wrap-anywhere">{name}</span>
        </span>
        <span className="order-last col-span-2 min-w-0 text-xs text-ink-soft md:order-none md:col-span-1 md:text-sm">
          {help}
        </span>
        <span className="nums text-right font-medium whitespace-nowrap">{currentValue(family)}</span>
      </button>
      {isOpen && (
        <div className="flex min-w-0 flex-col gap-4 border-t border-line bg-canvas px-4 py-4">
          <p className="text-xs text-ink-soft">
            A {kind === 'untyped' ? 'number' : kind}
            {kind === 'counter' && ', drawn as its growth a second'}
          </p>
          <History family={family} recording={recording} spanMs={spanMs} />
          <Samples samples={family.samples} name={name} />
          <Query family={family} />
        </div>
      )}
    </li>
  );
});

function currentValue({ name, kind, samples }: Family): string {
  if (samples.length === 0) return 'none';
  const counted =
    kind === 'histogram' ? samples.filter((sample) => sample.name === `${name}_count`) : samples;
  return formatValue(
    counted.reduce((all, { value }) => all + value, 0),
    kind === 'histogram' ? 'count' : unitOf(name, false),
  );
}

function History({ family, recording, spanMs }: Pick<RowProps, 'family' | 'recording' | 'spanMs'>) {
  const spec = useMemo(() => historyOf(family), [family]);
  const lines = useMemo(() => linesOf(spec, recording), [spec, recording]);
  if (family.samples.length === 0) return null;
  return <Drawing lines={lines} spec={spec} recording={recording} spanMs={spanMs} />;
}

function historyOf({ name, kind, samples }: Family) {
  const isRate = kind === 'counter';
  const base = { title: name, about: '', promql: [] };
  if (kind === 'histogram') {
    const quantiles = [0.5, 0.95, 0.99].map((q) => ({
      name: `p${q * 100}`,
      quantile: q,
      of: `${name}_bucket`,
    }));
    return { ...base, unit: unitOf(name, false), lines: quantiles };
  }
  const shown = samples.slice(0, LINES_MAX);
  const each = shown.map((sample): LineSpec => ({
    name: labelsOf(sample) || (isRate ? 'a second' : 'now'),
    of: sample.name,
    where: sample.labels,
    isRate,
  }));
  const lines: LineSpec[] =
    samples.length > LINES_MAX ? [{ name: `all ${samples.length}`, of: name, isRate }] : each;
  return { ...base, unit: unitOf(name, isRate), lines };
}

function labelsOf({ labels }: Sample): string {
  return Object.values(labels).join(' ');
}

function Samples({ samples, name }: { samples: readonly Sample[]; name: string }) {
  if (samples.length === 1 && samples[0]?.name === name && labelsOf(samples[0]) === '') return null;
  if (samples.length === 0)
    return <p className="text-ink-soft">There is nothing of this kind at the moment.</p>;
  return (
    <div>
      <table className="w-full max-w-4xl text-xs">
        <caption className="sr-only">Samples of {name}</caption>
        <tbody className="divide-y divide-line">
          {samples.slice(0, SAMPLES_SHOWN_MAX).map((sample) => (
            <tr key={selectorOf(sample)}>
              <th scope="row" className="py-1 pr-4 text-left font-mono font-normal wrap-anywhere">
                {selectorOf(sample)}
              </th>
              <td className="nums py-1 text-right font-medium">{String(sample.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {samples.length > SAMPLES_SHOWN_MAX && (
        <p className="nums mt-2 text-ink-soft">
          {formatCount(samples.length - SAMPLES_SHOWN_MAX)} more samples are not shown.
        </p>
      )}
    </div>
  );
}

function Query({ family }: { family: Family }) {
  const query = promqlOf(family);
  if (query === undefined) return null;
  return (
    <div className="max-w-4xl">
      <p className="mb-1.5 text-xs text-ink-soft">
        {family.name.startsWith('$')
          ? 'In Prometheus, through an exporter such as wigwag exporter:'
          : 'In Prometheus:'}
      </p>
      <CopyLine text={query} label="Copy the query" />
    </div>
  );
}
