/**
 * What is known of each device: its last state, presence, recent temperatures. Fed with parsed messages, keeps one
 * immutable record per device, so that a card renders only when its own device changed. Decides nothing about time:
 * whether a device is stale is for `health.ts`.
 */
import { FrameStore } from '../ui/frame-store.ts';
import type { DeviceState } from './contract.ts';

export interface Sample {
  at: number;
  temperature: number;
}

export interface Presence {
  online: boolean;
  /** When we heard it. */
  heardAt: number;
}

export interface Device {
  id: string;
  state: DeviceState | undefined;
  /** The payload of the state, which may say more than the contract asks for. */
  text: string;
  /** When the state was made: on arrival for a live message, by the device's clock for a retained one. */
  stateAt: number;
  presence: Presence | undefined;
  /** Oldest first. */
  samples: readonly Sample[];
  /** State and presence messages that could not be read. */
  invalid: number;
}

export interface DevicesView {
  /** In natural order: "2" before "10". */
  devices: readonly Device[];
  /** Devices beyond {@link DEVICES_MAX}, not kept. */
  overflow: number;
}

export const DEVICES_MAX = 10_000;
/** Two minutes of a state every two seconds, and some to spare for the states between. */
export const SAMPLES_MAX = 90;

const naturally = new Intl.Collator('en', { numeric: true });

export class DeviceStore extends FrameStore<DevicesView> {
  /** Also holds devices that only told us they are offline; they are not shown until they have a state. */
  readonly #devices = new Map<string, Device>();
  readonly #overflow = new Set<string>();
  /** Ids in the order of display, but for those that came since the last view: comparing names is slow. */
  #order: string[] = [];
  #newcomers: string[] = [];

  device(id: string): Device | undefined {
    return this.#devices.get(id);
  }

  handleState(id: string, state: DeviceState, text: string, arrivedAt: number, retained: boolean): void {
    this.#update(id, (device) => {
      const stateAt = retained ? retainedAt(device, state, arrivedAt) : arrivedAt;
      const samples = withSample(device.samples, { at: stateAt, temperature: state.temperature });
      return { ...device, state, text, stateAt, samples };
    });
  }

  handlePresence(id: string, online: boolean, heardAt: number): void {
    this.#update(id, (device) => ({ ...device, presence: { online, heardAt } }));
  }

  /** Counts only: a stranger's nonsense makes no device. */
  handleInvalid(id: string): void {
    if (this.#devices.has(id)) this.#update(id, (device) => ({ ...device, invalid: device.invalid + 1 }));
  }

  /** An empty retained message took the state back. */
  handleStateCleared(id: string): void {
    this.#update(id, (device) => ({ ...device, state: undefined, text: '', samples: [] }));
  }

  handlePresenceCleared(id: string): void {
    if (this.#devices.has(id)) this.#update(id, (device) => ({ ...device, presence: undefined }));
  }

  protected override view(): DevicesView {
    if (this.#newcomers.length > 0) {
      const newcomers = this.#newcomers.sort((a, b) => naturally.compare(a, b));
      this.#order = merged(this.#order, newcomers);
      this.#newcomers = [];
    }
    const devices = this.#order
      .map((id) => this.#devices.get(id))
      .filter((device) => device !== undefined)
      .filter(isWorthShowing);
    return { devices, overflow: this.#overflow.size };
  }

  #update(id: string, change: (device: Device) => Device): void {
    const before = this.#devices.get(id) ?? blank(id);
    const after = change(before);
    if (after.state === undefined && after.presence === undefined) {
      if (this.#devices.delete(id)) {
        this.#order = this.#order.filter((one) => one !== id);
        this.#newcomers = this.#newcomers.filter((one) => one !== id);
      }
    } else if (this.#devices.has(id)) {
      this.#devices.set(id, after);
    } else if (this.#devices.size < DEVICES_MAX) {
      this.#devices.set(id, after);
      this.#newcomers.push(id);
    } else if (this.#overflow.size < DEVICES_MAX) {
      this.#overflow.add(id);
    }
    this.changed();
  }
}

/** A device that took its state back and is not there is gone, though the broker may remember that it is offline. */
function isWorthShowing(device: Device): boolean {
  return device.state !== undefined || device.presence?.online === true;
}

/** Of two lists in order, one: far fewer comparisons than sorting both anew. */
function merged(some: readonly string[], others: readonly string[]): string[] {
  const all: string[] = [];
  let next = 0;
  for (const one of some) {
    for (let other = others[next]; other !== undefined; other = others[next]) {
      if (naturally.compare(other, one) >= 0) break;
      all.push(other);
      next += 1;
    }
    all.push(one);
  }
  return all.concat(others.slice(next));
}

function blank(id: string): Device {
  return { id, state: undefined, text: '', stateAt: 0, presence: undefined, samples: [], invalid: 0 };
}

/**
 * A state that we saw arrive keeps its time when it comes again as the retained one. Otherwise the device's clock has to
 * do, except that a device whose clock runs ahead has not published in the future.
 */
function retainedAt(device: Device, state: DeviceState, arrivedAt: number): number {
  const known = device.state;
  const again = known?.timestamp === state.timestamp && known.status === state.status;
  return again ? device.stateAt : Math.min(state.timestamp * 1000, arrivedAt);
}

/** Keeps the samples in order of time: what is not newer than the last is there already. */
function withSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const last = samples.at(-1);
  if (last !== undefined && sample.at <= last.at) return samples;
  return [...samples.slice(1 - SAMPLES_MAX), sample];
}
