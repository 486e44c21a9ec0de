/** Names of files that are about a device. Pure. */
import type { Device } from '../model.ts';

/** Without an ending; ids hold slashes where the device is not of the contract. */
export function fileNameOf({ id }: Pick<Device, 'id'>): string {
  return `device-${id.replaceAll('/', '-')}`;
}
