/**
 * Below which prefix devices introduce themselves to Home Assistant, for each broker where it is not the usual one. Kept
 * in this browser, by the address of the broker.
 */
import { create } from 'zustand';
import { persist } from 'zustand/middleware';

import type { Broker } from '../../../config.ts';
import type { Station } from '../../../station.ts';
import type { Way } from '../further.ts';
import { PREFIX_DEFAULT, whyNotPrefix } from './config-topics.ts';

/** Of so many brokers; of more, the one that was set first goes. */
export const PREFIXES_MAX = 64;
const ADDRESS_CHARS_MAX = 1_000;

type Pair = readonly [address: string, prefix: string];

interface Prefixes {
  prefixes: readonly Pair[];
  /** One that {@link whyNotPrefix} has nothing against. */
  setPrefix: (broker: Broker, prefix: string) => void;
}

export const usePrefixes = create<Prefixes>()(
  persist(
    (set) => ({
      prefixes: [],
      setPrefix: (broker, prefix) => {
        const address = addressOf(broker);
        if (address === undefined) return;
        set(({ prefixes }) => {
          const others = prefixes.filter(([of]) => of !== address);
          if (prefix === PREFIX_DEFAULT) return { prefixes: others };
          return { prefixes: [...others, [address, prefix] as const].slice(-PREFIXES_MAX) };
        });
      },
    }),
    {
      name: 'wigwag.prefixes',
      version: 1,
      partialize: ({ prefixes }) => ({ prefixes }),
      merge: (stored, state) => ({ ...state, prefixes: readPrefixes(stored) }),
    },
  ),
);

export function prefixOf({ prefixes }: Pick<Prefixes, 'prefixes'>, broker: Broker): string {
  const address = addressOf(broker);
  return prefixes.find(([of]) => of === address)?.[1] ?? PREFIX_DEFAULT;
}

/** Listens below the prefix of the station's broker, and below another one as soon as that is chosen. */
export function followPrefix(station: Station, wayBelow: (prefix: string) => Way): void {
  const { broker } = station;
  let prefix = prefixOf(usePrefixes.getState(), broker);
  let stop = station.listenTo(wayBelow(prefix));
  const unfollow = usePrefixes.subscribe((state) => {
    const chosen = prefixOf(state, broker);
    if (chosen === prefix) return;
    prefix = chosen;
    stop();
    stop = station.listenTo(wayBelow(prefix));
  });
  station.whenEnded(unfollow);
}

function addressOf({ address }: Broker): string | undefined {
  return 'url' in address ? address.url : undefined;
}

/** What is stored may be from another version, or from somebody's hand. */
function readPrefixes(stored: unknown): Pair[] {
  const said: unknown =
    typeof stored === 'object' && stored !== null && 'prefixes' in stored ? stored.prefixes : [];
  const read = new Map<string, string>();
  for (const one of Array.isArray(said) ? (said as unknown[]) : []) {
    const [address, prefix] = Array.isArray(one) ? (one as unknown[]) : [];
    if (typeof address !== 'string' || address.length > ADDRESS_CHARS_MAX) continue;
    if (typeof prefix === 'string' && whyNotPrefix(prefix) === undefined) read.set(address, prefix);
  }
  return [...read].slice(-PREFIXES_MAX);
}
