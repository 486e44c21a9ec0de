import { beforeEach, describe, expect, test, vi } from 'vitest';

import { DeviceRecord, RECORDS_MAX, RecordShelf } from './device-record.ts';
import { DeviceStore } from '../device-store.ts';
import type { Device } from '../model.ts';
import { ContractSource } from '../sources/contract-source.ts';
import { deviceWith, incoming } from '../testing.ts';

const NOW = Date.UTC(2026, 0, 1);
const FIRST = deviceWith({ temperature: 36, at: NOW - 2_000 });
const DEVICE = later(FIRST, { temperature: 37, battery: { voltage: 3.7 } }, NOW);

/** The device after one more state. */
function later(device: Device, values: object, at: number): Device {
  const store = new DeviceStore();
  store.put(device);
  const state = { deviceId: '1', status: 'idle', timestamp: at / 1_000, ...values };
  new ContractSource({ store, subscribe: () => () => undefined }).handle(
    incoming('device/1/state', state, { at }),
  );
  return store.device('1') ?? device;
}

const COMMAND = {
  at: NOW,
  direction: 'in',
  topic: 'device/1/command',
  text: '{"action":"start"}',
  bytes: 18,
  retain: false,
  qos: 1,
  problem: undefined,
} as const;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
});

function values(record: DeviceRecord): Record<string, number[]> {
  vi.advanceTimersToNextFrame();
  const all = [...record.snapshot()].map(([path, series]) => [
    path,
    series.within({ from: 0, to: Infinity }).map(({ value }) => value),
  ]);
  return Object.fromEntries(all) as Record<string, number[]>;
}

describe('a record', () => {
  test('begins with what is known, and has every number but the clock', () => {
    const record = new DeviceRecord(NOW);
    record.begin(DEVICE, [
      { ...COMMAND, seq: 1, topic: 'device/1/state' },
      { ...COMMAND, seq: 2, topic: 'device/12/state' },
    ]);
    expect(record.log.snapshot().entries.map(({ topic }) => topic)).toEqual(['device/1/state']);
    expect(values(record)).toEqual({ temperature: [36, 37], 'battery.voltage': [3.7] });
    record.handleUpdate(later(DEVICE, { temperature: 38, battery: { voltage: 'low' } }, NOW + 2_000));
    expect(values(record)).toEqual({ temperature: [36, 37, 38], 'battery.voltage': [3.7] });
  });

  test('has a command of ours once, though the broker sends it back, and those of others', () => {
    const record = new DeviceRecord(NOW);
    record.handleSent({ ...COMMAND, direction: 'out' }, 'command-1');
    record.handleCommand(COMMAND, 'command-1');
    record.handleCommand(COMMAND, 'theirs');
    // A copy for another subscription.
    record.handleCommand(COMMAND, 'command-1');
    expect(record.log.snapshot().entries.map(({ direction }) => direction)).toEqual(['out', 'in']);
  });

  test('without correlation data, takes one copy of a command for ours', () => {
    const record = new DeviceRecord(NOW);
    record.handleSent({ ...COMMAND, direction: 'out' }, undefined);
    record.handleCommand(COMMAND, undefined);
    record.handleCommand(COMMAND, undefined);
    expect(record.log.snapshot().entries.map(({ direction }) => direction)).toEqual(['out', 'in']);
  });

  test('does not grow with names that change all the time', () => {
    const record = new DeviceRecord(NOW);
    for (let index = 0; index < 1_000; index++) {
      record.handleUpdate(later(DEVICE, { temperature: 1, [`f${index}`]: 1 }, NOW + 1 + index));
    }
    expect(Object.keys(values(record)).length).toBeLessThan(100);
  });
});

describe('the shelf', () => {
  test('gives up the record that was not looked at for longest, and no other', () => {
    const watched = new Set<string>();
    const shelf = new RecordShelf(({ id }) => {
      watched.add(id);
      return () => watched.delete(id);
    });
    const first = shelf.open({ ...DEVICE, id: '0' }, []);
    for (let index = 1; index < RECORDS_MAX; index++) shelf.open({ ...DEVICE, id: `${index}` }, []);
    expect(shelf.open({ ...DEVICE, id: '0' }, [])).toBe(first);
    shelf.open({ ...DEVICE, id: 'one more' }, []);
    expect(shelf.find('1')).toBeUndefined();
    expect(shelf.find('0')).toBe(first);
    expect([...watched]).not.toContain('1');
    expect(watched.size).toBe(RECORDS_MAX);
  });

  test('watches the topics that a device has by now', () => {
    const watched: string[] = [];
    const shelf = new RecordShelf(({ topics }) => {
      const filters = topics.map(({ filter }) => filter);
      watched.push(...filters);
      return () => {
        for (const filter of filters) watched.splice(watched.indexOf(filter), 1);
      };
    });
    const device: Device = { ...DEVICE, topics: [{ filter: 'a/set', role: 'command' }] };
    const record = shelf.open(device, []);
    shelf.handleUpdate({ ...device, stateAt: NOW + 1 });
    expect(watched).toEqual(['a/set']);
    const more: Device['topics'] = [...device.topics, { filter: 'b/set', role: 'command' }];
    shelf.handleUpdate({ ...device, topics: more });
    expect(watched).toEqual(['a/set', 'b/set']);
    expect(shelf.open(device, [])).toBe(record);
  });
});
