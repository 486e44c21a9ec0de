import { beforeEach, describe, expect, test, vi } from 'vitest';

import { DEVICES_MAX, DeviceStore } from './device-store.ts';
import type { Device } from './model.ts';
import { deviceWith } from './testing.ts';

const ONE = deviceWith();
let store: DeviceStore;

beforeEach(() => {
  vi.useFakeTimers();
  store = new DeviceStore();
});

function put(id: string, changes: Partial<Device> = {}): void {
  store.put({ ...ONE, id, name: id, ...changes });
}

function look(): string[] {
  vi.advanceTimersToNextFrame();
  return store.snapshot().devices.map(({ name }) => name);
}

describe('the list', () => {
  test('is in natural order', () => {
    for (const id of ['10', 'b', '9', '1', 'a2', 'a10']) put(id);
    expect(look()).toEqual(['1', '9', '10', 'a2', 'a10', 'b']);
  });

  test('stays in order when devices come and go and change their names between two looks at it', () => {
    for (const id of ['5', '3', '10']) put(id);
    expect(look()).toEqual(['3', '5', '10']);
    for (const id of ['4', '11', '1']) put(id);
    store.remove('5');
    store.remove('11');
    put('10', { name: '2' });
    expect(look()).toEqual(['1', '2', '3', '4']);
    put('10', { name: '9' });
    put('10', { name: '0' });
    store.remove('3');
    put('3');
    expect(look()).toEqual(['0', '1', '3', '4']);
    expect(store.snapshot().devices).toHaveLength(4);
  });

  test('has every device once, also those of one name', () => {
    put('b', { name: 'Lamp' });
    put('a', { name: 'Lamp' });
    expect(look()).toEqual(['Lamp', 'Lamp']);
    expect(store.snapshot().devices.map(({ id }) => id)).toEqual(['a', 'b']);
  });

  test('is bounded, and says how many are left out', () => {
    for (let index = 0; index < DEVICES_MAX + 3; index++) put(`d${index}`);
    put(`d${DEVICES_MAX}`);
    const { devices, overflow } = store.snapshot();
    expect(devices).toHaveLength(DEVICES_MAX);
    expect(overflow).toBe(3);
  });

  test('no longer counts as left out what has found room', () => {
    for (let index = 0; index < DEVICES_MAX + 2; index++) put(`d${index}`);
    store.remove('d0');
    put(`d${DEVICES_MAX}`);
    expect(store.snapshot().overflow).toBe(1);
  });
});

describe('React', () => {
  test('hears of many changes once per frame, and only changed devices are other objects', () => {
    put('1');
    put('2');
    look();
    const before = store.snapshot();
    const listener = vi.fn();
    store.subscribe(listener);
    for (let index = 0; index < 100; index++) put('1', { stateAt: index });
    expect(listener).not.toHaveBeenCalled();
    expect(store.snapshot()).toBe(before);
    vi.advanceTimersToNextFrame();
    expect(listener).toHaveBeenCalledTimes(1);
    const after = store.snapshot();
    expect(after.devices[0]).not.toBe(before.devices[0]);
    expect(after.devices[1]).toBe(before.devices[1]);
  });
});
