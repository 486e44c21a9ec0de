/**
 * What the detail keeps while other topics and other screens are looked at: pins, what is published, ways to read topics.
 * Each is its station's, because all of it says what was seen there.
 */
import { createStore, useStore } from 'zustand';

import type { DecoderName } from '../../message/decode.ts';
import { perStation, useStation } from '../../station.ts';
import { Pins } from './pins.ts';
import { Publisher } from './publisher.ts';

const pinsOf = perStation(() => new Pins());

export function usePins(): Pins {
  return pinsOf(useStation());
}

const publisherOf = perStation(
  (station) => new Publisher((message) => station.connection.publish(message)),
  (publisher) => {
    publisher.stop();
  },
);

export function usePublisher(): Publisher {
  return publisherOf(useStation());
}

interface Readings {
  /** By topic, the last chosen last; absent where the way is to be found. */
  chosen: ReadonlyMap<string, DecoderName>;
  choose: (topic: string, decoder: DecoderName | undefined) => void;
}

const CHOSEN_MAX = 500;

const readingsOf = perStation(() =>
  createStore<Readings>()((set) => ({
    chosen: new Map(),
    choose: (topic, decoder) => {
      set(({ chosen }) => {
        const others = [...chosen].filter(([other]) => other !== topic).slice(1 - CHOSEN_MAX);
        return { chosen: new Map(decoder === undefined ? others : [...others, [topic, decoder]]) };
      });
    },
  })),
);

export function useReadings(): Readings {
  return useStore(readingsOf(useStation()));
}
