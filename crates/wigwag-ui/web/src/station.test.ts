import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { HomeAssistantSource } from './devices/sources/home-assistant/home-assistant-source.ts';
import { configFilters } from './devices/sources/home-assistant/config-topics.ts';
import { followPrefix, usePrefixes } from './devices/sources/home-assistant/prefixes.ts';
import type { Way } from './devices/sources/further.ts';
import { WAITING_BYTES_MAX, WAITING_MAX } from './devices/sources/late.ts';
import type { SourceTools } from './devices/sources/source.ts';
import type { FromWorker, Incoming, ToWorker } from './mqtt/protocol.ts';
import { Station } from './station.ts';
import { brokerAt } from './testing.ts';

const NOW = new Date('2026-01-01T12:00:00Z').getTime();

let sent: ToWorker[];
let deliver: (message: FromWorker) => void;
let station: Station;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  sent = [];
  const port = {
    post: (message: ToWorker) => sent.push(message),
    listen: (listener: (message: FromWorker) => void) => (deliver = listener),
    end: () => undefined,
  };
  station = new Station(port, brokerAt('ws://b'), { clientId: 'wigwag-ui-test' });
  deliver({ kind: 'status', status: { phase: 'connected', since: NOW, refused: [] } });
});

function receive(topic: string, payload: unknown, more: Partial<Incoming> = {}): void {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const message: Incoming = { topic, text, bytes: text.length, retain: false, qos: 0, at: NOW, ...more };
  deliver({ kind: 'messages', messages: [message], skipped: 0 });
}

function view() {
  vi.advanceTimersToNextFrame();
  return {
    devices: station.devices.snapshot().devices,
    log: station.log.snapshot(),
    commands: station.commands.snapshot(),
    said: station.announcer.snapshot(),
  };
}

function state(changes: object = {}): object {
  return { deviceId: '1', status: 'idle', temperature: 36.6, timestamp: NOW / 1_000, ...changes };
}

test('subscribes to states, presence and its own replies', () => {
  expect(sent[0]).toEqual({
    kind: 'connect',
    url: 'ws://b',
    clientId: 'wigwag-ui-test',
    filters: ['dashboard/wigwag-ui-test/reply', 'device/+/state', 'device/+/online', 'device/+/tags'],
  });
});

test('a state and a presence make a device', () => {
  receive('device/1/state', state(), { retain: true });
  receive('device/1/online', 'true', { retain: true });
  expect(view().devices).toMatchObject([{ id: '1', status: 'idle', presence: { online: true } }]);
});

test('what is invalid is in the log with its reason, and nowhere else', () => {
  receive('device/1/state', 'x');
  receive('device/1/online', 'x');
  receive('dashboard/wigwag-ui-test/reply', 'x');
  const { devices, log } = view();
  expect(devices).toEqual([]);
  expect(log.entries.map(({ problem }) => problem)).toEqual([
    'the payload is not JSON',
    'presence is "x"; allowed: true, false',
    'the payload is not JSON',
  ]);
});

test('a page without a usable address connects to nothing and says why', () => {
  const post = vi.fn();
  const broker = brokerAt('ws://b', { address: { problem: 'wrong' } });
  const refused = new Station({ post, listen: () => undefined, end: () => undefined }, broker);
  expect(post).not.toHaveBeenCalled();
  expect(refused.connection.snapshot().status).toEqual({ phase: 'offline', reason: 'wrong' });
});

describe('a command', () => {
  beforeEach(() => {
    receive('device/1/state', state());
    const device = station.devices.device('1');
    const start = device?.controls[0];
    if (device !== undefined && start?.kind === 'button') station.commands.send(device, start, start.value);
  });

  test('is published and logged', () => {
    expect(sent.at(-1)).toMatchObject({ kind: 'publish', topic: 'device/1/command', qos: 1 });
    expect(view().log.entries.at(-1)).toMatchObject({
      direction: 'out',
      text: '{"action":"start"}',
      bytes: 18,
    });
  });

  test('is confirmed by the reply that carries its correlation, and that is said aloud', () => {
    receive(
      'dashboard/wigwag-ui-test/reply',
      { deviceId: '1', ok: true, status: 'running' },
      { correlation: 'command-1' },
    );
    expect(view().commands.get('1')?.phase).toBe('confirmed');
    expect(view().said).toBe('Device 1: start confirmed');
  });

  test('is not confirmed by a retained state', () => {
    receive('device/1/state', state({ status: 'running' }), { retain: true });
    expect(view().commands.get('1')?.phase).toBe('pending');
    receive('device/1/state', state({ status: 'running' }));
    expect(view().commands.get('1')?.phase).toBe('confirmed');
  });

  test('is cut off when the connection is lost', () => {
    deliver({
      kind: 'status',
      status: { phase: 'waiting', retryAt: NOW + 1_000, attempt: 1, reason: 'lost' },
    });
    expect(view().commands.get('1')?.phase).toBe('interrupted');
    expect(station.connection.snapshot().downSince).toBe(NOW);
  });

  test('that the broker refused is rejected', async () => {
    const last = sent.at(-1);
    if (last?.kind !== 'publish') throw new Error('nothing was published');
    deliver({ kind: 'published', id: last.id, outcome: { kind: 'refused', reason: 'Not authorized' } });
    await vi.advanceTimersByTimeAsync(0);
    expect(view().commands.get('1')).toMatchObject({ phase: 'rejected' });
  });
});

test('the connection is announced when it changes, and no attempt in between', () => {
  const said: string[] = [];
  station.announcer.subscribe(() => said.push(station.announcer.snapshot()));
  const waiting = { phase: 'waiting', retryAt: NOW, attempt: 1, reason: '' } as const;
  for (const status of [waiting, { phase: 'connecting', attempt: 2 } as const, { ...waiting, attempt: 2 }]) {
    deliver({ kind: 'status', status });
    vi.advanceTimersToNextFrame();
  }
  expect(said).toEqual(['Not connected to the broker']);
});

test('the worker hears when messages have been handled, also those on which the page stumbles', () => {
  station.watch('stone', () => {
    throw new Error('stumbled');
  });
  receive('device/1/state', '{}');
  expect(sent.at(-1)).toEqual({ kind: 'handled' });
  const before = sent.length;
  expect(() => {
    receive('stone', '');
  }).toThrow('stumbled');
  expect(sent.slice(before)).toEqual([{ kind: 'handled' }]);
});

test('what is watched goes to those who watch, and not into the log', () => {
  const heard: string[] = [];
  const stops = [1, 2].map(() => station.watch('$SYS/#', ({ topic }) => heard.push(topic)));
  expect(sent.slice(1)).toEqual([{ kind: 'subscribe', filter: '$SYS/#' }]);
  receive('$SYS/broker/uptime', '3 seconds');
  expect(heard).toEqual(['$SYS/broker/uptime', '$SYS/broker/uptime']);
  expect(view().log.entries).toEqual([]);
  for (const stop of stops) stop();
  expect(sent.slice(2)).toEqual([{ kind: 'handled' }, { kind: 'unsubscribe', filter: '$SYS/#' }]);
});

describe('devices that speak otherwise', () => {
  const CONFIG = {
    name: 'Hall',
    state_topic: 'device/1/state',
    value_template: '{{ value_json.temperature }}',
  };
  let load: ReturnType<typeof vi.fn<Way['load']>>;

  beforeEach(() => {
    localStorage.clear();
    usePrefixes.setState(usePrefixes.getInitialState());
    load = vi.fn();
    followPrefix(station, (prefix) => {
      load.mockResolvedValue((tools: SourceTools) => new HomeAssistantSource(tools, prefix));
      return { filters: configFilters(prefix), root: `${prefix}/`, load };
    });
  });

  afterEach(() => {
    station.end();
  });

  test('are subscribed to, and what reads them is loaded when there is one', async () => {
    expect(sent.slice(1)).toEqual(
      configFilters('homeassistant').map((filter) => ({ kind: 'subscribe', filter })),
    );
    receive('device/1/state', state());
    expect(load).not.toHaveBeenCalled();
    receive('homeassistant/sensor/hall/config', CONFIG, { retain: true });
    receive('homeassistant/sensor/hall/config', { ...CONFIG, name: 'Corridor' }, { retain: true });
    await vi.advanceTimersByTimeAsync(0);
    expect(load).toHaveBeenCalledOnce();
    expect(view().devices.map(({ id, name }) => [id, name])).toEqual([
      ['1', '1'],
      ['ha/sensor/hall', 'Corridor'],
    ]);
  });

  test('have their messages in the log in order, and a topic may be of both', async () => {
    receive('homeassistant/sensor/hall/config', CONFIG, { retain: true });
    await vi.advanceTimersByTimeAsync(0);
    expect(sent.at(-1)).toEqual({ kind: 'subscribe', filter: 'device/1/state' });
    receive('device/1/state', state());
    const { devices, log } = view();
    expect(devices.map(({ id, fields }) => [id, fields[0]?.value])).toEqual([
      ['1', 36.6],
      ['ha/sensor/hall', 36.6],
    ]);
    expect(log.entries.map(({ topic }) => topic)).toEqual([
      'homeassistant/sensor/hall/config',
      'device/1/state',
    ]);
  });

  test('are in the log with the reason when it cannot be loaded, and the next one has it tried again', async () => {
    load.mockRejectedValueOnce(new Error('gone'));
    receive('homeassistant/sensor/hall/config', CONFIG, { retain: true });
    await vi.advanceTimersByTimeAsync(0);
    expect(view().log.entries.map(({ problem }) => problem)).toEqual([
      'the part of the page that reads it cannot be loaded, reload the page: gone',
    ]);
    receive('homeassistant/sensor/hall/config', CONFIG);
    await vi.advanceTimersByTimeAsync(0);
    expect(view().devices.map(({ id }) => id)).toEqual(['ha/sensor/hall']);
  });

  test('are those below another prefix as soon as it is chosen, and no others', async () => {
    receive('homeassistant/sensor/hall/config', { ...CONFIG, state_topic: 'hall' }, { retain: true });
    receive('device/1/state', state());
    await vi.advanceTimersByTimeAsync(0);
    sent = [];
    usePrefixes.getState().setPrefix(station.broker, 'lab/ha');
    expect(sent).toEqual([
      ...configFilters('homeassistant').map((filter) => ({ kind: 'unsubscribe', filter })),
      { kind: 'unsubscribe', filter: 'hall' },
      ...configFilters('lab/ha').map((filter) => ({ kind: 'subscribe', filter })),
    ]);
    receive('homeassistant/sensor/hall/config', CONFIG);
    receive('lab/ha/sensor/desk/config', { ...CONFIG, name: 'Desk' }, { retain: true });
    await vi.advanceTimersByTimeAsync(0);
    expect(view().devices.map(({ id }) => id)).toEqual(['1', 'ha/sensor/desk']);
    usePrefixes.getState().setPrefix(station.broker, 'homeassistant');
    expect(view().devices.map(({ id }) => id)).toEqual(['1']);
    expect(station.sources).toHaveLength(1);
  });

  test('of a prefix that is left while their code is on the way do not come', async () => {
    receive('homeassistant/sensor/hall/config', CONFIG, { retain: true });
    usePrefixes.getState().setPrefix(station.broker, 'lab');
    await vi.advanceTimersByTimeAsync(0);
    expect(view().devices).toEqual([]);
    expect(station.sources).toHaveLength(1);
  });

  test('keep to the prefix of their own broker, and to none when the station is over', () => {
    sent = [];
    usePrefixes.getState().setPrefix(brokerAt('ws://other'), 'lab');
    expect(sent).toEqual([]);
    station.end();
    sent = [];
    usePrefixes.getState().setPrefix(station.broker, 'lab');
    expect(sent).toEqual([]);
  });

  test('cannot fill the memory while it is loaded', async () => {
    for (let index = 0; index < WAITING_MAX + 3; index++) receive('homeassistant/sensor/hall/config', CONFIG);
    receive('homeassistant/sensor/big/config', CONFIG, { bytes: WAITING_BYTES_MAX });
    await vi.advanceTimersByTimeAsync(0);
    const { devices, log } = view();
    expect(devices.map(({ id }) => id)).toEqual(['ha/sensor/hall']);
    expect(log.total).toBe(WAITING_MAX + 4);
  });
});
