/**
 * Reads what a server shows at `/metrics`: the text format of Prometheus, version 0.0.4. A line that cannot be read is
 * left out and counted; what is read is bounded, and what is beyond the bound is counted as well.
 */
export type Kind = 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped';

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  /** With the suffix that parts of a histogram have. */
  name: string;
  labels: Labels;
  value: number;
}

export interface Family {
  name: string;
  kind: Kind;
  help: string;
  samples: Sample[];
}

export interface Exposition {
  families: Family[];
  unreadable: number;
  beyond: number;
}

export const SAMPLES_MAX = 2_000;

const ABOUT = /^# (HELP|TYPE) (\S+) ?(.*)$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?\s*/gy;
const PARTS = /_(?:bucket|sum|count)$/;
const KINDS: readonly string[] = ['counter', 'gauge', 'histogram', 'summary'] satisfies Kind[];

export function readExposition(text: string): Exposition {
  const families = new Map<string, Family>();
  const familyOf = (name: string): Family => {
    const family = families.get(name) ?? { name, kind: 'untyped', help: '', samples: [] };
    families.set(name, family);
    return family;
  };
  let [samples, unreadable, beyond] = [0, 0, 0];
  for (const line of text.split('\n')) {
    const [, what, name = '', rest = ''] = ABOUT.exec(line) ?? [];
    if (what === 'HELP') familyOf(name).help = unescaped(rest);
    else if (what === 'TYPE') familyOf(name).kind = kindOf(rest);
    if (line === '' || line.startsWith('#')) continue;
    const sample = readSample(line);
    if (sample === undefined) unreadable += 1;
    else if (samples === SAMPLES_MAX) beyond += 1;
    else {
      samples += 1;
      const whole = families.get(sample.name.replace(PARTS, ''));
      (whole?.kind === 'histogram' ? whole : familyOf(sample.name)).samples.push(sample);
    }
  }
  return { families: [...families.values()], unreadable, beyond };
}

/** A sample as PromQL would select it, which is also what tells it from all others. */
export function selectorOf({ name, labels }: Pick<Sample, 'name' | 'labels'>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`;
}

function readSample(line: string): Sample | undefined {
  const [, name, labels = '', text] = SAMPLE.exec(line) ?? [];
  if (name === undefined || text === undefined) return undefined;
  const value = readValue(text);
  const read = readLabels(labels);
  return value === undefined || read === undefined ? undefined : { name, labels: read, value };
}

function readLabels(text: string): Labels | undefined {
  const labels: Record<string, string> = {};
  let end = 0;
  for (const match of text.matchAll(LABEL)) {
    const [whole, label = '', value = ''] = match;
    labels[label] = unescaped(value);
    end = match.index + whole.length;
  }
  return end === text.length ? labels : undefined;
}

function readValue(text: string): number | undefined {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  if (text === 'NaN') return NaN;
  const value = Number(text);
  return Number.isNaN(value) ? undefined : value;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
}

function kindOf(text: string): Kind {
  return KINDS.includes(text) ? (text as Kind) : 'untyped';
}
