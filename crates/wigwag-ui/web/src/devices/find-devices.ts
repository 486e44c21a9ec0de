/** What the command palette finds among the devices. */
import { devicePath } from '../shell/links.ts';
import { matching } from '../shell/palette/match.ts';
import type { Findings } from '../shell/screens.tsx';
import type { Station } from '../station.ts';
import { titleOf } from './model.ts';

export function findDevices(station: Station, text: string, max: number): Findings {
  const all = station.devices.snapshot().devices.map((device) => ({
    name: titleOf(device),
    about: device.topics[0]?.filter ?? '',
    to: devicePath(device.id),
  }));
  const fitting = matching(all, text, (entry) => entry);
  return { title: 'Devices', found: fitting.slice(0, max), beyond: Math.max(0, fitting.length - max) };
}
