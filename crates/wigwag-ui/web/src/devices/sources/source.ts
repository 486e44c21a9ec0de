/** What a way in which devices speak has to offer, and what it is given to work with. */
import type { Incoming } from '../../mqtt/protocol.ts';
import type { DeviceStore } from '../device-store.ts';
import type { Device, SourceKind } from '../model.ts';

export interface Source {
  readonly kind: SourceKind;
  /** What it subscribes to for as long as the page is open. */
  readonly filters: readonly string[];
  /** Puts what it hears into the store. Nothing when the message is none of its business; never throws. */
  handle: (message: Incoming) => Heard | undefined;
  /** The numbers that an older message of the device holds, by the keys of its fields: for charts of the past. */
  numbersIn: (device: Device, message: Incoming) => readonly (readonly [key: string, value: number])[];
  /** Takes its devices out of the store and listens to no more of their topics: of one that may be given up. */
  end?: () => void;
}

/** What became of a message. */
export interface Heard {
  /** The devices that it was about. */
  ids: readonly string[];
  /** What it says, in place of a payload that is not text. */
  text?: string;
  /** Why it could not be used. */
  problem?: string;
}

export interface SourceTools {
  store: DeviceStore;
  /** Subscribes to one more topic, until the returned function is called. */
  subscribe: (topic: string) => () => void;
}
