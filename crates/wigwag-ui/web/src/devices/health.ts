/** Whether a device can be trusted to be there, from what is known of it and the time. Pure. */
import type { LinkStatus } from '../mqtt/protocol.ts';
import type { Device } from './model.ts';

export type Health =
  | { kind: 'online' }
  | { kind: 'offline' }
  /** It should be publishing, but was last heard at `since`. */
  | { kind: 'stale'; since: number }
  /** We are not connected, so nothing is known since `since`. */
  | { kind: 'cut-off'; since: number }
  /** The device does not tell its presence. */
  | { kind: 'unknown' };

/** The link as far as health is concerned. */
export interface LinkView {
  status: LinkStatus;
  downSince: number | undefined;
}

/** Always the same objects: what compares equal is not drawn again. */
const ONLINE: Health = { kind: 'online' };
const OFFLINE: Health = { kind: 'offline' };
const UNKNOWN: Health = { kind: 'unknown' };

/** How long after a connection the broker may take to send the retained presence again. */
export const REFRESH_MS = 1_500;

export function health(device: Device, link: LinkView, now: number): Health {
  if (link.status.phase !== 'connected') {
    return { kind: 'cut-off', since: Math.max(link.downSince ?? 0, device.stateAt) };
  }
  const presence = currentPresence(device, link.status.since, now);
  if (presence === false) return OFFLINE;
  const { isSteady, silenceMs } = device;
  if (isSteady && silenceMs !== undefined && now - device.stateAt > silenceMs) {
    return { kind: 'stale', since: device.stateAt };
  }
  return presence === true ? ONLINE : UNKNOWN;
}

/** What was heard before the connection broke is void once the broker had time to say it again. */
function currentPresence(device: Device, connectedAt: number, now: number): boolean | undefined {
  if (device.presence === undefined) return undefined;
  const heardAgain = device.presence.heardAt >= connectedAt - REFRESH_MS;
  return heardAgain || now - connectedAt < REFRESH_MS ? device.presence.online : undefined;
}
