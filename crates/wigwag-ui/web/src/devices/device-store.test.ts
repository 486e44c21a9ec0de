import { beforeEach, describe, expect, test, vi } from 'vitest';

import type { DeviceState } from './contract.ts';
import { DEVICES_MAX, DeviceStore, SAMPLES_MAX } from './device-store.ts';

const T = 1_705_580_400;
const NOW = T * 1_000 + 400;

function state(temperature: number, timestamp = T): DeviceState {
  return { status: 'running', temperature, timestamp };
}

const TEXT = '{}';

let store: DeviceStore;

beforeEach(() => {
  vi.useFakeTimers();
  store = new DeviceStore();
});

describe('states', () => {
  test('a live state is as old as its arrival, a retained one as old as it says', () => {
    store.handleState('1', state(37, T - 3_600), TEXT, NOW, false);
    store.handleState('2', state(37, T - 3_600), TEXT, NOW, true);
    expect(store.device('1')?.stateAt).toBe(NOW);
    expect(store.device('2')?.stateAt).toBe((T - 3_600) * 1_000);
  });

  test('a retained state from the future is from now', () => {
    store.handleState('1', state(37, T + 3_600), TEXT, NOW, true);
    expect(store.device('1')?.stateAt).toBe(NOW);
  });

  test('the retained copy of a state that was seen live keeps its time and adds no sample', () => {
    store.handleState('1', state(37, T - 90), TEXT, NOW, false);
    store.handleState('1', state(37, T - 90), TEXT, NOW + 5_000, true);
    expect(store.device('1')?.stateAt).toBe(NOW);
    expect(store.device('1')?.samples).toHaveLength(1);
  });

  test('only the latest temperatures are kept', () => {
    for (let index = 0; index < SAMPLES_MAX + 10; index++)
      store.handleState('1', state(index), TEXT, NOW + index, false);
    const samples = store.device('1')?.samples ?? [];
    expect(samples).toHaveLength(SAMPLES_MAX);
    expect(samples.at(-1)?.temperature).toBe(SAMPLES_MAX + 9);
  });

  test('a state that was taken back takes the device along, unless it is online', () => {
    store.handleState('1', state(37), TEXT, NOW, false);
    store.handlePresence('1', false, NOW);
    store.handleState('2', state(37), TEXT, NOW, false);
    store.handlePresence('2', true, NOW);
    store.handleStateCleared('1');
    store.handleStateCleared('2');
    expect(store.snapshot().devices.map(({ id }) => id)).toEqual(['2']);
  });
});

describe('the list', () => {
  test('is in natural order', () => {
    for (const id of ['10', 'b', '9', '1', 'a2', 'a10']) store.handleState(id, state(1), TEXT, NOW, false);
    expect(store.snapshot().devices.map(({ id }) => id)).toEqual(['1', '9', '10', 'a2', 'a10', 'b']);
  });

  test('stays in order when devices come and go between two looks at it', () => {
    const look = () => {
      vi.advanceTimersToNextFrame();
      return store.snapshot().devices.map(({ id }) => id);
    };
    for (const id of ['5', '3', '10']) store.handleState(id, state(1), TEXT, NOW, false);
    expect(look()).toEqual(['3', '5', '10']);
    for (const id of ['4', '11', '1']) store.handleState(id, state(1), TEXT, NOW, false);
    store.handleStateCleared('5');
    store.handleStateCleared('11');
    expect(look()).toEqual(['1', '3', '4', '10']);
  });

  test('knows the presence that came before the state', () => {
    store.handlePresence('1', false, NOW);
    expect(store.snapshot().devices).toEqual([]);
    store.handleState('1', state(37), TEXT, NOW, true);
    expect(store.device('1')?.presence).toEqual({ online: false, heardAt: NOW });
  });

  test('is bounded, and says how many are left out', () => {
    for (let index = 0; index < DEVICES_MAX + 3; index++)
      store.handleState(`d${index}`, state(1), TEXT, NOW, false);
    store.handleState(`d${DEVICES_MAX}`, state(2), TEXT, NOW, false);
    const { devices, overflow } = store.snapshot();
    expect(devices).toHaveLength(DEVICES_MAX);
    expect(overflow).toBe(3);
  });

  test('invalid messages are counted, and make no device', () => {
    store.handleInvalid('nobody');
    store.handleState('1', state(1), TEXT, NOW, false);
    store.handleInvalid('1');
    expect(store.snapshot().devices.map(({ id, invalid }) => [id, invalid])).toEqual([['1', 1]]);
  });
});

describe('React', () => {
  test('hears of many changes once per frame, and only changed devices are other objects', () => {
    store.handleState('1', state(1), TEXT, NOW, false);
    store.handleState('2', state(1), TEXT, NOW, false);
    vi.advanceTimersToNextFrame();
    const before = store.snapshot();
    const listener = vi.fn();
    store.subscribe(listener);
    for (let index = 0; index < 100; index++) store.handleState('1', state(index), TEXT, NOW + index, false);
    expect(listener).not.toHaveBeenCalled();
    expect(store.snapshot()).toBe(before);
    vi.advanceTimersToNextFrame();
    expect(listener).toHaveBeenCalledTimes(1);
    const after = store.snapshot();
    expect(after.devices[0]).not.toBe(before.devices[0]);
    expect(after.devices[1]).toBe(before.devices[1]);
  });
});
