/** What the detail keeps while other topics and other screens are looked at: pins, the draft, ways to read topics. */
import { create } from 'zustand';

import type { DecoderName } from '../../message/decode.ts';
import type { Station } from '../../station.ts';
import { useStation } from '../../station.ts';
import { Pins } from './pins.ts';
import { Publisher } from './publisher.ts';

export const pins = new Pins();

const publishers = new WeakMap<Station, Publisher>();

export function usePublisher(): Publisher {
  const station = useStation();
  let publisher = publishers.get(station);
  if (publisher === undefined) {
    publisher = new Publisher((message) => station.connection.publish(message));
    publishers.set(station, publisher);
  }
  return publisher;
}

interface Readings {
  /** By topic, the last chosen last; absent where the way is to be found. */
  chosen: ReadonlyMap<string, DecoderName>;
  choose: (topic: string, decoder: DecoderName | undefined) => void;
}

const CHOSEN_MAX = 500;

export const useReadings = create<Readings>()((set) => ({
  chosen: new Map(),
  choose: (topic, decoder) => {
    set(({ chosen }) => {
      const others = [...chosen].filter(([other]) => other !== topic).slice(1 - CHOSEN_MAX);
      return { chosen: new Map(decoder === undefined ? others : [...others, [topic, decoder]]) };
    });
  },
}));
