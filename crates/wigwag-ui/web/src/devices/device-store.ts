/**
 * The devices of all sources, one immutable record each, so that a card renders only when its own device changed. Keeps
 * them in the order of their names and bounds their number; what is in a record is up to the sources.
 */
import { FrameStore } from '../ui/frame-store.ts';
import type { Device } from './model.ts';

export interface DevicesView {
  /** In natural order: "2" before "10". */
  devices: readonly Device[];
  /** Devices beyond {@link DEVICES_MAX}, not kept. */
  overflow: number;
}

export const DEVICES_MAX = 10_000;
/** A view lists all devices anew: the more there are, the longer it holds. */
const REST_PER_DEVICE_MS = 0.25;
const REST_MAX_MS = 250;

const naturally = new Intl.Collator('en', { numeric: true });

export class DeviceStore extends FrameStore<DevicesView> {
  readonly #devices = new Map<string, Device>();
  readonly #overflow = new Set<string>();
  /** Ids in the order of display, but for those that came since the last view: comparing names is slow. */
  #order: string[] = [];
  readonly #newcomers = new Set<string>();
  /** Ids that are still in `#order`, and no longer at home there. */
  readonly #leavers = new Set<string>();

  device(id: string): Device | undefined {
    return this.#devices.get(id);
  }

  /** Takes the place of the record with this id. Of devices that there is no room for, only the number is kept. */
  put(device: Device): void {
    const { id } = device;
    const before = this.#devices.get(id);
    if (before === undefined && this.#devices.size >= DEVICES_MAX) {
      if (this.#overflow.size < DEVICES_MAX) this.#overflow.add(id);
    } else {
      if (before !== undefined && before.name !== device.name) this.#leave(id);
      if (before?.name !== device.name) this.#newcomers.add(id);
      this.#devices.set(id, device);
      this.#overflow.delete(id);
    }
    this.changed();
  }

  remove(id: string): void {
    this.#overflow.delete(id);
    if (!this.#devices.delete(id)) return;
    this.#leave(id);
    this.changed();
  }

  protected override restMs(): number {
    return Math.min(REST_MAX_MS, this.#devices.size * REST_PER_DEVICE_MS);
  }

  protected override view(): DevicesView {
    this.#tidy();
    const devices = this.#order.map((id) => this.#devices.get(id)).filter((device) => device !== undefined);
    return { devices, overflow: this.#overflow.size };
  }

  #leave(id: string): void {
    if (!this.#newcomers.delete(id)) this.#leavers.add(id);
  }

  #tidy(): void {
    if (this.#leavers.size > 0) {
      this.#order = this.#order.filter((id) => !this.#leavers.has(id));
      this.#leavers.clear();
    }
    if (this.#newcomers.size > 0) {
      const compare = (a: string, b: string): number =>
        naturally.compare(this.#nameOf(a), this.#nameOf(b)) || (a < b ? -1 : 1);
      this.#order = merged(this.#order, [...this.#newcomers].sort(compare), compare);
      this.#newcomers.clear();
    }
  }

  #nameOf(id: string): string {
    return this.#devices.get(id)?.name ?? '';
  }
}

/** Of two lists in order, one: far fewer comparisons than sorting both anew. */
function merged(
  some: readonly string[],
  others: readonly string[],
  compare: (a: string, b: string) => number,
): string[] {
  const all: string[] = [];
  let next = 0;
  for (const one of some) {
    for (let other = others[next]; other !== undefined; other = others[next]) {
      if (compare(other, one) >= 0) break;
      all.push(other);
      next += 1;
    }
    all.push(one);
  }
  return all.concat(others.slice(next));
}
