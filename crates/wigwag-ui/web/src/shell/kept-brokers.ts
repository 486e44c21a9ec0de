/**
 * The brokers that the user has added, kept in this browser: names and addresses, never user names or passwords.
 */
import { create } from 'zustand';
import { persist } from 'zustand/middleware';

import { checkUrl } from '../config.ts';
import type { Kept } from '../stations.ts';

export const KEPT_MAX = 32;
const NAME_LENGTH_MAX = 100;
const URL_LENGTH_MAX = 1_000;

interface KeptBrokers {
  kept: readonly Kept[];
  add: (broker: Kept) => void;
  remove: (name: string) => void;
}

export const useKeptBrokers = create<KeptBrokers>()(
  persist(
    (set) => ({
      kept: [],
      add: (broker) => {
        set(({ kept }) => ({ kept: [...kept.filter(({ name }) => name !== broker.name), broker] }));
      },
      remove: (gone) => {
        set(({ kept }) => ({ kept: kept.filter(({ name }) => name !== gone) }));
      },
    }),
    {
      name: 'wigwag.brokers',
      version: 1,
      partialize: ({ kept }) => ({ kept }),
      merge: (stored, state) => ({ ...state, kept: readKept(stored) }),
    },
  ),
);

/**
 * Why a broker cannot be added with this name and address, or nothing. `taken` are the names of the others.
 */
export function whyNotKept({ name, url }: Kept, taken: readonly string[], count: number): string | undefined {
  const address = checkUrl(url, 'The address');
  if ('problem' in address) return address.problem;
  if (url.length > URL_LENGTH_MAX) return `The address has more than ${URL_LENGTH_MAX} characters.`;
  if (name === '') return 'A name is needed.';
  if (name.length > NAME_LENGTH_MAX) return `The name has more than ${NAME_LENGTH_MAX} characters.`;
  if (taken.includes(name)) return `There is a broker called “${name}” already.`;
  if (count >= KEPT_MAX) return `This browser keeps ${KEPT_MAX} brokers; remove one first.`;
  return undefined;
}

/** What is stored may be from another version, or from somebody's hand. */
function readKept(stored: unknown): Kept[] {
  const said: unknown = typeof stored === 'object' && stored !== null && 'kept' in stored ? stored.kept : [];
  const read: Kept[] = [];
  for (const one of Array.isArray(said) ? (said as unknown[]) : []) {
    if (typeof one !== 'object' || one === null || !('name' in one) || !('url' in one)) continue;
    const { name, url } = one;
    if (typeof name !== 'string' || typeof url !== 'string') continue;
    const taken = read.map((other) => other.name);
    if (whyNotKept({ name, url }, taken, read.length) === undefined) read.push({ name, url });
  }
  return read;
}
