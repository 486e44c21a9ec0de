/** What the command palette offers: pages, actions, and what the screens find. */
import type { NavigateFunction } from 'react-router';

import type { Broker } from '../../config.ts';
import type { Station } from '../../station.ts';
import type { Stations } from '../../stations.ts';
import type { IconName } from '../../ui/icons.tsx';
import { useOverlay } from '../overlay.ts';
import { SCREENS } from '../screens.tsx';
import type { Theme } from '../settings.ts';
import { useSettings } from '../settings.ts';
import { matching } from './match.ts';

export interface Entry {
  name: string;
  about: string;
  icon: IconName;
  /** Keys that do the same. */
  keys?: readonly string[];
  run: () => void;
}

export interface Group {
  title: string;
  entries: readonly Entry[];
  /** Entries that fit and are not among these. */
  beyond: number;
}

/** Of one group; to see others, type more. */
export const ENTRIES_MAX = 8;

export interface Surroundings {
  station: Station;
  stations: Stations;
  goTo: (broker: Broker) => void;
  navigate: NavigateFunction;
  /** The part of the query that goes along. */
  search: string;
}

/** What is known at once. */
export function fixedGroups(text: string, surroundings: Surroundings): Group[] {
  return [
    group(
      'Pages',
      matching(pages(surroundings), text, (entry) => entry),
    ),
    group(
      'Brokers',
      matching(others(surroundings), text, (entry) => entry),
    ),
    group(
      'Actions',
      matching(actions(surroundings), text, (entry) => entry),
    ),
  ].filter(hasEntries);
}

/** What the screens find, which may take them a moment. */
export async function foundGroups(text: string, surroundings: Surroundings): Promise<Group[]> {
  const { station, navigate, search } = surroundings;
  const groups = SCREENS.map(async ({ find, icon }): Promise<Group[]> => {
    if (find === undefined) return [];
    const { title, found, beyond } = await find(station, text, ENTRIES_MAX);
    const entries = found.map(({ name, about, to }) => ({
      name,
      about,
      icon,
      run: () => void navigate({ pathname: to, search }),
    }));
    return [{ title, entries, beyond }];
  });
  return (await Promise.all(groups)).flat().filter(hasEntries);
}

function group(title: string, entries: readonly Entry[]): Group {
  return {
    title,
    entries: entries.slice(0, ENTRIES_MAX),
    beyond: Math.max(0, entries.length - ENTRIES_MAX),
  };
}

function hasEntries({ entries }: Group): boolean {
  return entries.length > 0;
}

function pages({ navigate, search }: Surroundings): Entry[] {
  return SCREENS.map(({ path, name, about, icon, key }) => ({
    name,
    about,
    icon,
    keys: ['g', key],
    run: () => void navigate({ pathname: `/${path}`, search }),
  }));
}

/** The brokers that are not shown. */
function others({ station, stations, goTo }: Surroundings): Entry[] {
  return stations
    .snapshot()
    .filter(({ broker }) => broker !== station.broker)
    .map(({ broker }) => ({
      name: broker.name,
      about: 'Show this broker',
      icon: 'broker',
      run: () => {
        goTo(broker);
      },
    }));
}

function actions({ station }: Surroundings): Entry[] {
  const { connection } = station;
  const { phase } = connection.snapshot().status;
  const entries: Entry[] = [];
  if (phase === 'waiting') {
    entries.push({
      name: 'Retry now',
      about: 'Connect to the broker without the wait',
      icon: 'retry',
      run: () => {
        connection.retry();
      },
    });
  }
  if (phase !== 'offline') {
    entries.push({
      name: 'Log in to the broker',
      about: 'With a user name and a password',
      icon: 'key',
      run: () => {
        useOverlay.getState().show('login');
      },
    });
  }
  entries.push(
    theme('light', 'sun', 'Light theme'),
    theme('dark', 'moon', 'Dark theme'),
    theme('system', 'system', 'Theme of the system'),
    {
      name: 'Show the keys',
      about: 'Help for the keyboard',
      icon: 'keyboard',
      keys: ['?'],
      run: () => {
        useOverlay.getState().show('keys');
      },
    },
  );
  return entries;
}

function theme(value: Theme, icon: IconName, name: string): Entry {
  return {
    name,
    about: 'Appearance',
    icon,
    run: () => {
      useSettings.getState().setTheme(value);
    },
  };
}
