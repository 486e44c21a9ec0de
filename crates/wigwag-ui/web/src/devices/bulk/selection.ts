/**
 * Which devices are selected, and how selecting goes on from the last one that was. Immutable and pure; a device that is
 * no longer shown stays selected until it is gone.
 */
export interface Selection {
  ids: ReadonlySet<string>;
  /** Where the range begins that a press with Shift ends. */
  anchor: string | undefined;
}

export const NOTHING: Selection = { ids: new Set(), anchor: undefined };

/** `shown` are the ids in the order of the list. */
export function pressed(
  selection: Selection,
  id: string,
  isRange: boolean,
  shown: readonly string[],
): Selection {
  const isOn = !selection.ids.has(id);
  const from = isRange && selection.anchor !== undefined ? shown.indexOf(selection.anchor) : -1;
  const to = shown.indexOf(id);
  const range = from < 0 || to < 0 ? [id] : shown.slice(Math.min(from, to), Math.max(from, to) + 1);
  const ids = new Set(selection.ids);
  for (const one of range) {
    if (isOn) ids.add(one);
    else ids.delete(one);
  }
  return { ids, anchor: id };
}

/** All of these, besides those that are selected already. */
export function withAll(selection: Selection, shown: readonly string[]): Selection {
  return { ids: new Set([...selection.ids, ...shown]), anchor: undefined };
}

export function without(selection: Selection, shown: readonly string[]): Selection {
  const ids = new Set(selection.ids);
  for (const id of shown) ids.delete(id);
  return ids.size === 0 ? NOTHING : { ids, anchor: undefined };
}

/** Of all that are shown. */
export function extent(selection: Selection, shown: readonly string[]): 'none' | 'some' | 'all' {
  if (selection.ids.size === 0) return 'none';
  const count = shown.filter((id) => selection.ids.has(id)).length;
  return count === 0 ? 'none' : count === shown.length ? 'all' : 'some';
}
