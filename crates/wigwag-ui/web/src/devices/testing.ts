/** Devices for tests, made of messages as the page makes them. */
import type { Incoming } from '../mqtt/protocol.ts';
import { DeviceStore } from './device-store.ts';
import type { Device, Status } from './model.ts';
import { ContractSource } from './sources/contract-source.ts';

export function incoming(topic: string, payload: unknown, more: Partial<Incoming> = {}): Incoming {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return { topic, text, bytes: text.length, retain: false, qos: 0, at: Date.now(), ...more };
}

interface Told {
  id?: string;
  status?: Status;
  temperature?: number;
  at?: number;
}

/** A device of the contract after one state. */
export function deviceWith(
  { id = '1', status = 'running', temperature = 37, at = Date.now() }: Told = {},
  changes: Partial<Device> = {},
): Device {
  const store = new DeviceStore();
  const source = new ContractSource({ store, subscribe: () => () => undefined });
  const state = { deviceId: id, status, temperature, timestamp: at / 1_000 };
  source.handle(incoming(`device/${id}/state`, state, { at }));
  source.handle(incoming(`device/${id}/online`, 'true', { at }));
  const device = store.device(id);
  if (device === undefined) throw new Error('the state made no device');
  return { ...device, ...changes };
}
