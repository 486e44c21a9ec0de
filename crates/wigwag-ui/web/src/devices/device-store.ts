/**
 * The devices of all sources, one immutable record each, so that a card renders only when its own device changed. Keeps
 * them in the order of their names and bounds their number; what is in a record is up to the sources.
 */
import { FrameStore } from '../ui/frame-store.ts';
import type { NaturalKey } from '../ui/natural-order.ts';
import { compareNaturally, naturalKey } from '../ui/natural-order.ts';
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

/** A device in the list. One that has another name by now, or is gone, has left its place. */
interface Place {
  device: Device;
  key: NaturalKey;
  isLeft: boolean;
}

export class DeviceStore extends FrameStore<DevicesView> {
  readonly #places = new Map<string, Place>();
  readonly #overflow = new Set<string>();
  /** In the order of display, but for those that came since the last view. */
  #order: Place[] = [];
  #newcomers: Place[] = [];
  /** Some in `#order` or among the newcomers are no longer at home there. */
  #hasLeft = false;

  device(id: string): Device | undefined {
    return this.#places.get(id)?.device;
  }

  /** Takes the place of the record with this id. Of devices that there is no room for, only the number is kept. */
  put(device: Device): void {
    const { id, name } = device;
    const place = this.#places.get(id);
    if (place?.device.name === name) {
      place.device = device;
    } else if (place === undefined && this.#places.size >= DEVICES_MAX) {
      if (this.#overflow.size < DEVICES_MAX) this.#overflow.add(id);
    } else {
      if (place !== undefined) this.#leave(place);
      const home = { device, key: naturalKey(name), isLeft: false };
      this.#places.set(id, home);
      this.#newcomers.push(home);
      this.#overflow.delete(id);
    }
    this.changed();
  }

  remove(id: string): void {
    this.#overflow.delete(id);
    const place = this.#places.get(id);
    if (place === undefined) return;
    this.#places.delete(id);
    this.#leave(place);
    this.changed();
  }

  protected override restMs(): number {
    return Math.min(REST_MAX_MS, this.#places.size * REST_PER_DEVICE_MS);
  }

  protected override view(): DevicesView {
    this.#tidy();
    return { devices: this.#order.map(({ device }) => device), overflow: this.#overflow.size };
  }

  #leave(place: Place): void {
    place.isLeft = true;
    this.#hasLeft = true;
  }

  #tidy(): void {
    if (this.#hasLeft) {
      this.#order = this.#order.filter(({ isLeft }) => !isLeft);
      this.#newcomers = this.#newcomers.filter(({ isLeft }) => !isLeft);
      this.#hasLeft = false;
    }
    if (this.#newcomers.length > 0) {
      this.#order = merged(this.#order, this.#newcomers.sort(compare));
      this.#newcomers = [];
    }
  }
}

function compare(a: Place, b: Place): number {
  return compareNaturally(a.key, b.key) || (a.device.id < b.device.id ? -1 : 1);
}

/** Of two lists in order, one: far fewer comparisons than sorting both anew. */
function merged(some: readonly Place[], others: readonly Place[]): Place[] {
  const all: Place[] = [];
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
