/**
 * The table of screens. Navigation, routes, keys, command palette and the checks over all screens read it, so a screen
 * is in all of them with one row here, or in none. Devices is the first page and comes with the bundle; the others come
 * when they are opened.
 */
import type { ComponentType, LazyExoticComponent } from 'react';
import { lazy } from 'react';

import { DevicesPage } from '../devices/DevicesPage.tsx';
import { findDevices } from '../devices/find-devices.ts';
import type { Station } from '../station.ts';
import type { IconName } from '../ui/icons.tsx';
import { findTopics } from './palette/find-topics.ts';

export interface Screen {
  /** First level of the address, without slashes. Not one that the server answers itself, such as `metrics`. */
  path: string;
  name: string;
  /** What it is for, in a few words: for the command palette. */
  about: string;
  icon: IconName;
  /** Opened by `g` and then this key. */
  key: string;
  pages: readonly Page[];
  /** What the command palette finds here. */
  find?: Find;
  /** Its own keys, for the help sheet. */
  keys?: readonly KeyHelp[];
}

export interface Page {
  /** Below the screen's path: '' for the screen itself, ':id', or '*' for everything. */
  path: string;
  Page: ComponentType | LazyExoticComponent<ComponentType>;
}

/** Finds at most `max` things whose names fit what was typed, which may be nothing. */
export type Find = (station: Station, text: string, max: number) => Findings | Promise<Findings>;

export interface Findings {
  /** What they are, in the plural. */
  title: string;
  found: readonly { name: string; about: string; to: string }[];
  /** Those that fit and are not among these. */
  beyond: number;
}

export interface KeyHelp {
  keys: readonly string[];
  does: string;
}

export const SCREENS: readonly Screen[] = [
  {
    path: 'devices',
    name: 'Devices',
    about: 'What the devices say, and commands to them',
    icon: 'devices',
    key: 'd',
    pages: [
      { path: '', Page: DevicesPage },
      {
        path: ':id',
        Page: onDemand(async () => (await import('../devices/detail/DevicePage.tsx')).DevicePage),
      },
    ],
    find: findDevices,
  },
  {
    path: 'explore',
    name: 'Explorer',
    about: 'All topics as a tree, and what they say',
    icon: 'explorer',
    key: 'e',
    pages: [
      { path: '*', Page: onDemand(async () => (await import('../explorer/ExplorerPage.tsx')).ExplorerPage) },
    ],
    find: findTopics,
    keys: [
      { keys: ['↑', '↓', '←', '→'], does: 'Walk through the tree of topics' },
      { keys: ['*'], does: 'Open all branches beside this one' },
      { keys: ['Enter'], does: 'Show the topic' },
      { keys: ['Delete'], does: 'Clear retained messages here and below' },
      { keys: ['.'], does: 'Write a message' },
      { keys: ['Space'], does: 'Hold the tree still, and go on' },
    ],
  },
  {
    path: 'monitor',
    name: 'Metrics',
    about: 'What the broker counts, over the last minutes',
    icon: 'chart',
    key: 'm',
    pages: [
      { path: '', Page: onDemand(async () => (await import('../metrics/MetricsPage.tsx')).MetricsPage) },
    ],
  },
  {
    path: 'settings',
    name: 'Settings',
    about: 'Theme, times, keys, the connection to the broker',
    icon: 'settings',
    key: 's',
    pages: [
      {
        path: '',
        Page: onDemand(async () => (await import('../settings/SettingsPage.tsx')).SettingsPage),
      },
    ],
  },
];

/** A page in a bundle of its own: `onDemand(async () => (await import('../explorer/ExplorerPage.tsx')).ExplorerPage)`. */
export function onDemand(load: () => Promise<ComponentType>): LazyExoticComponent<ComponentType> {
  return lazy(async () => ({ default: await load() }));
}
