/**
 * Which of the devices are shown, and in which order: search, facets and sorting, as they stand in the address of the
 * page. Pure.
 */
import type { Health, LinkView } from './health.ts';
import { health } from './health.ts';
import type { Device, SourceKind, Status } from './model.ts';
import { mainField, SOURCES } from './model.ts';

export const HEALTH_KINDS = ['online', 'offline', 'stale', 'cut-off', 'unknown'] as const;
export const STATUSES = ['running', 'idle'] as const;
export const SORTS = ['name', 'value', 'updated'] as const;

export type SortKey = (typeof SORTS)[number];

export interface Sort {
  by: SortKey;
  isDescending: boolean;
}

export interface ListQuery {
  /** Part of a name or of a tag, in whichever case. */
  text: string;
  health: Health['kind'] | undefined;
  status: Status | undefined;
  source: SourceKind | undefined;
  tag: string | undefined;
  sort: Sort;
}

/** Tags that are counted; devices of others are found by the search. */
export const TAGS_COUNTED_MAX = 1_000;

export interface ListedDevice {
  device: Device;
  condition: Health;
}

export interface DeviceList {
  devices: readonly ListedDevice[];
  /** What the first value of each of them is, if it is the same of all. */
  valueLabel: string | undefined;
  /** How many there would be of each kind with the rest of the query. */
  health: ReadonlyMap<Health['kind'], number>;
  status: ReadonlyMap<Status, number>;
  source: ReadonlyMap<SourceKind, number>;
  tag: ReadonlyMap<string, number>;
  /** Of all devices, whatever was asked for. */
  totals: { found: number; online: number; running: number };
}

/** Anything may stand in an address. */
export function readQuery(search: URLSearchParams): ListQuery {
  const sort = search.get('sort') ?? '';
  return {
    text: search.get('q') ?? '',
    health: HEALTH_KINDS.find((kind) => kind === search.get('health')),
    status: STATUSES.find((status) => status === search.get('status')),
    source: SOURCES.find((source) => source === search.get('source')),
    tag: search.get('tag') ?? undefined,
    sort: {
      by: SORTS.find((key) => key === sort.replace(/^-/, '')) ?? 'name',
      isDescending: sort.startsWith('-'),
    },
  };
}

export function writeSort({ by, isDescending }: Sort): string | undefined {
  return by === 'name' && !isDescending ? undefined : `${isDescending ? '-' : ''}${by}`;
}

/** `devices` are in the order of their names. One pass, because there may be thousands of them several times a second. */
export function listOf(
  devices: readonly Device[],
  query: ListQuery,
  link: LinkView,
  now: number,
): DeviceList {
  const text = query.text.trim().toLowerCase();
  const counts = new Counts();
  const totals = { found: devices.length, online: 0, running: 0 };
  const fitting: ListedDevice[] = [];
  const labels = new Labels();
  for (const device of devices) {
    const condition = health(device, link, now);
    if (condition.kind === 'online') totals.online += 1;
    if (device.status === 'running') totals.running += 1;
    if (text !== '' && !isNamed(device, text)) continue;
    const misfit = misfitOf(device, condition, query);
    if (misfit === 'several') continue;
    counts.add(device, condition, misfit);
    if (misfit !== undefined) continue;
    labels.add(device);
    fitting.push({ device, condition });
  }
  const { health: byHealth, status, source, tag } = counts;
  const all = sorted(fitting, query.sort);
  return { devices: all, valueLabel: labels.shared, health: byHealth, status, source, tag, totals };
}

function isNamed({ name, tags }: Device, text: string): boolean {
  return name.toLowerCase().includes(text) || tags.some((tag) => tag.toLowerCase().includes(text));
}

type Facet = 'health' | 'status' | 'source' | 'tag';

/** The only facet that the device does not fit, if it is one. */
function misfitOf(device: Device, condition: Health, query: ListQuery): Facet | 'several' | undefined {
  let misfit: Facet | undefined;
  let misfits = 0;
  const miss = (facet: Facet): void => {
    misfit = facet;
    misfits += 1;
  };
  if (query.health !== undefined && query.health !== condition.kind) miss('health');
  if (query.status !== undefined && query.status !== device.status) miss('status');
  if (query.source !== undefined && query.source !== device.source) miss('source');
  if (query.tag !== undefined && !device.tags.includes(query.tag)) miss('tag');
  return misfits > 1 ? 'several' : misfit;
}

/** A device counts where it would be there if another value of that facet was chosen. */
class Counts {
  readonly health = new Map<Health['kind'], number>();
  readonly status = new Map<Status, number>();
  readonly source = new Map<SourceKind, number>();
  readonly tag = new Map<string, number>();

  add({ status, source, tags }: Device, condition: Health, misfit: Facet | undefined): void {
    const counts = (facet: Facet): boolean => misfit === undefined || misfit === facet;
    if (counts('health')) count(this.health, condition.kind);
    if (counts('status') && status !== undefined) count(this.status, status);
    if (counts('source')) count(this.source, source);
    if (counts('tag')) {
      for (const tag of tags) {
        if (this.tag.size < TAGS_COUNTED_MAX || this.tag.has(tag)) count(this.tag, tag);
      }
    }
  }
}

/** What has no value does not speak against the others. */
class Labels {
  #first: string | undefined;
  #isShared = true;

  add(device: Device): void {
    const label = mainField(device)?.label;
    this.#first ??= label;
    if (label !== undefined && label !== this.#first) this.#isShared = false;
  }

  get shared(): string | undefined {
    return this.#isShared ? this.#first : undefined;
  }
}

function sorted(listed: ListedDevice[], { by, isDescending }: Sort): ListedDevice[] {
  const value = VALUES[by];
  if (value === undefined) return isDescending ? listed.reverse() : listed;
  // What has no value is last either way. Asked for once for each device and not with every comparison.
  const sign = isDescending ? -1 : 1;
  const last = Infinity * sign;
  return listed
    .map((one) => ({ one, by: value(one.device) ?? last }))
    .sort((a, b) => (a.by === b.by ? 0 : sign * (a.by < b.by ? -1 : 1)))
    .map(({ one }) => one);
}

const VALUES: Record<SortKey, ((device: Device) => number | undefined) | undefined> = {
  name: undefined,
  value: (device) => {
    const value = mainField(device)?.value;
    return typeof value === 'number' ? value : undefined;
  },
  updated: ({ stateAt }) => (stateAt === 0 ? undefined : stateAt),
};

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
