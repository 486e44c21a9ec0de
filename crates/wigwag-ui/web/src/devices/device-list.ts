/**
 * Which of the devices are shown, and in which order: search, facets and sorting, as they stand in the address of the
 * page. Pure.
 */
import type { Health, LinkView } from './health.ts';
import { health } from './health.ts';
import type { Device, Status } from './model.ts';
import { mainField } from './model.ts';

export const HEALTH_KINDS = ['online', 'offline', 'stale', 'cut-off', 'unknown'] as const;
export const STATUSES = ['running', 'idle'] as const;
export const SORTS = ['name', 'value', 'updated'] as const;

export type SortKey = (typeof SORTS)[number];

export interface Sort {
  by: SortKey;
  isDescending: boolean;
}

export interface ListQuery {
  /** Part of a name, in whichever case. */
  text: string;
  health: Health['kind'] | undefined;
  status: Status | undefined;
  sort: Sort;
}

export interface ListedDevice {
  device: Device;
  condition: Health;
}

export interface DeviceList {
  devices: readonly ListedDevice[];
  /** How many there would be of each kind with the rest of the query. */
  health: ReadonlyMap<Health['kind'], number>;
  status: ReadonlyMap<Status, number>;
}

/** Anything may stand in an address. */
export function readQuery(search: URLSearchParams): ListQuery {
  const sort = search.get('sort') ?? '';
  return {
    text: search.get('q') ?? '',
    health: HEALTH_KINDS.find((kind) => kind === search.get('health')),
    status: STATUSES.find((status) => status === search.get('status')),
    sort: {
      by: SORTS.find((key) => key === sort.replace(/^-/, '')) ?? 'name',
      isDescending: sort.startsWith('-'),
    },
  };
}

export function writeSort({ by, isDescending }: Sort): string | undefined {
  return by === 'name' && !isDescending ? undefined : `${isDescending ? '-' : ''}${by}`;
}

/** `devices` are in the order of their names. */
export function listOf(
  devices: readonly Device[],
  query: ListQuery,
  link: LinkView,
  now: number,
): DeviceList {
  const text = query.text.trim().toLowerCase();
  const byHealth = new Map<Health['kind'], number>();
  const byStatus = new Map<Status, number>();
  const fitting: ListedDevice[] = [];
  for (const device of devices) {
    if (text !== '' && !device.name.toLowerCase().includes(text)) continue;
    const condition = health(device, link, now);
    const status = device.status;
    const hasHealth = query.health === undefined || query.health === condition.kind;
    const hasStatus = query.status === undefined || query.status === status;
    if (hasStatus) count(byHealth, condition.kind);
    if (hasHealth && status !== undefined) count(byStatus, status);
    if (hasHealth && hasStatus) fitting.push({ device, condition });
  }
  return { devices: sorted(fitting, query.sort), health: byHealth, status: byStatus };
}

function sorted(listed: ListedDevice[], { by, isDescending }: Sort): ListedDevice[] {
  const value = VALUES[by];
  if (value === undefined) return isDescending ? listed.reverse() : listed;
  // What has no value is last either way.
  const sign = isDescending ? -1 : 1;
  return listed.sort((a, b) => {
    const [one, other] = [value(a.device), value(b.device)];
    if (one === undefined || other === undefined)
      return Number(one === undefined) - Number(other === undefined);
    return sign * (one - other);
  });
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
