import { beforeEach, describe, expect, test } from 'vitest';

import { DEVICES_MAX, DeviceStore } from '../device-store.ts';
import { payloadOf } from '../encode.ts';
import type { Device } from '../model.ts';
import { SAMPLES_MAX } from '../samples.ts';
import { incoming } from '../testing.ts';
import { ContractSource } from './contract-source.ts';

const T = 1_705_580_400;
const NOW = T * 1_000 + 400;

let store: DeviceStore;
let source: ContractSource;

beforeEach(() => {
  store = new DeviceStore();
  source = new ContractSource({ store, subscribe: () => () => undefined });
});

function state(id: string, changes: object = {}, at = NOW, retain = false): void {
  const payload = { deviceId: id, status: 'running', temperature: 37, timestamp: T, ...changes };
  source.handle(incoming(`device/${id}/state`, payload, { at, retain }));
}

function presence(id: string, text: string, at = NOW): void {
  source.handle(incoming(`device/${id}/online`, text, { at, retain: true }));
}

function device(id = '1'): Device | undefined {
  return store.device(id);
}

describe('a state', () => {
  test('makes a device with its values, the temperature first', () => {
    state('1', { battery: { voltage: 3.7 }, tags: ['hall', 'hall', 7, ''] });
    expect(device()).toMatchObject({ name: '1', source: 'contract', status: 'running', tags: ['hall'] });
    expect(device()?.fields.map(({ key, value, unit }) => [key, value, unit])).toEqual([
      ['temperature', 37, '°C'],
      ['status', 'running', undefined],
      ['battery.voltage', 3.7, undefined],
    ]);
  });

  test('that is live is as old as its arrival, a retained one as old as it says', () => {
    state('1', { timestamp: T - 3_600 });
    state('2', { timestamp: T - 3_600 }, NOW, true);
    expect(device('1')?.stateAt).toBe(NOW);
    expect(device('2')?.stateAt).toBe((T - 3_600) * 1_000);
  });

  test('that is retained and from the future is from now', () => {
    state('1', { timestamp: T + 3_600 }, NOW, true);
    expect(device()?.stateAt).toBe(NOW);
  });

  test('that was seen live keeps its time when it comes again as the retained one, and adds no sample', () => {
    state('1', { timestamp: T - 90 });
    state('1', { timestamp: T - 90 }, NOW + 5_000, true);
    expect(device()?.stateAt).toBe(NOW);
    expect(device()?.fields[0]?.samples).toHaveLength(1);
  });

  test('adds to the samples of each number, wherever it stands', () => {
    for (let index = 0; index < SAMPLES_MAX + 10; index++) {
      const extra = index % 2 === 0 ? { a: true, b: index } : { b: index };
      state('1', { temperature: index, ...extra }, NOW + index);
    }
    for (const key of ['temperature', 'b']) {
      const samples = device()?.fields.find((field) => field.key === key)?.samples;
      expect(samples).toHaveLength(SAMPLES_MAX);
      expect(samples?.last?.value).toBe(SAMPLES_MAX + 9);
    }
  });

  test('that was taken back takes the device along, unless it is online', () => {
    for (const id of ['1', '2']) state(id);
    presence('1', 'false');
    presence('2', 'true');
    for (const id of ['1', '2']) source.handle(incoming(`device/${id}/state`, ''));
    expect(device('1')).toBeUndefined();
    expect(device('2')).toMatchObject({ stateAt: 0, fields: [], status: undefined });
  });
});

describe('a presence', () => {
  test('that came before the state is known when it comes', () => {
    presence('1', 'false');
    expect(device()).toBeUndefined();
    state('1', {}, NOW, true);
    expect(device()?.presence).toEqual({ online: false, heardAt: NOW });
  });

  test('of devices that are not there is remembered for as many as the page keeps', () => {
    for (let index = 0; index <= DEVICES_MAX; index++) presence(`d${index}`, 'false');
    state('d1');
    state(`d${DEVICES_MAX}`);
    expect(device('d1')?.presence?.online).toBe(false);
    expect(device(`d${DEVICES_MAX}`)?.presence).toBeUndefined();
  });
});

test('what is invalid is counted, and makes no device', () => {
  expect(source.handle(incoming('device/nobody/state', '[]'))?.problem).toBe(
    'the payload is [], not a JSON object',
  );
  state('1');
  source.handle(incoming('device/1/online', 'perhaps'));
  expect(device('nobody')).toBeUndefined();
  expect(device()?.invalid).toBe(1);
});

test('what is none of its topics is nothing to it', () => {
  for (const topic of ['device/1/config', 'device//state', 'x/1/state', 'device/1/state/x']) {
    expect(source.handle(incoming(topic, '{}'))).toBeUndefined();
  }
});

test('a device has the commands of the contract, in the spelling of the tutorial', () => {
  state('1');
  const said = device()?.controls.map((control) => {
    return control.kind === 'button' ? payloadOf(control, control.value) : undefined;
  });
  expect(said).toEqual(['{"action":"start"}', '{"action":"stop"}']);
});

test('an older message tells its numbers', () => {
  state('1');
  const one = device();
  if (one === undefined) throw new Error('no device');
  const payload = { deviceId: '1', status: 'idle', temperature: 21, timestamp: T, levels: [1, 'x'] };
  expect(source.numbersIn(one, incoming('device/1/state', payload))).toEqual([
    ['temperature', 21],
    ['levels[0]', 1],
  ]);
  expect(source.numbersIn(one, incoming('device/1/state', 'x'))).toEqual([]);
  expect(source.numbersIn(one, incoming('device/1/online', 'true'))).toEqual([]);
});

describe('tags', () => {
  function tags(payload: unknown): unknown {
    return source.handle(incoming('device/1/tags', payload, { retain: true }));
  }

  test('that are retained are in the place of those in the state, until they are cleared', () => {
    state('1', { tags: ['hall'] });
    tags(['roof', 'roof', 7]);
    expect(device()?.tags).toEqual(['roof']);
    state('1', { tags: ['hall'] }, NOW + 1);
    expect(device()?.tags).toEqual(['roof']);
    tags('[]');
    expect(device()?.tags).toEqual([]);
    tags('');
    state('1', { tags: ['hall'] }, NOW + 2);
    expect(device()?.tags).toEqual(['hall']);
  });

  test('that come before the device make none, and wait for it', () => {
    tags(['roof']);
    expect(device()).toBeUndefined();
    state('1');
    expect(device()?.tags).toEqual(['roof']);
  });

  test.each(['{}', 'roof', '"roof"', 'null', `["${'x'.repeat(5_000)}"]`])('%j are none', (payload) => {
    state('1');
    expect(tags(payload)).toMatchObject({ problem: expect.any(String) as string });
    expect(device()?.tags).toEqual([]);
  });

  test('of which one is too long or too many are left out', () => {
    state('1');
    tags(['x'.repeat(61), ...Array.from({ length: 20 }, (_, index) => `t${index}`)]);
    expect(device()?.tags).toHaveLength(16);
  });
});
