import { beforeEach, describe, expect, test, vi } from 'vitest';

import type { Outgoing, PublishOutcome } from '../mqtt/protocol.ts';
import type { Command, Outcome } from './command-store.ts';
import { CommandStore, CONFIRMED_SHOWN_MS, REPLY_WITHIN_MS } from './command-store.ts';
import type { Control } from './model.ts';
import { deviceWith } from './testing.ts';

let published: Outgoing[];
let outcomes: [string, Outcome][];
let answer: PublishOutcome;
let store: CommandStore;

beforeEach(() => {
  vi.useFakeTimers();
  published = [];
  outcomes = [];
  answer = { kind: 'accepted' };
  store = new CommandStore({
    replyTopic: 'dashboard/me/reply',
    publish: (message) => {
      published.push(message);
      return Promise.resolve(answer);
    },
    handleOutcome: (id, outcome) => outcomes.push([id, outcome]),
  });
});

function send(id: string, key: 'start' | 'stop'): void {
  const device = deviceWith({ id });
  const control = device.controls.find((one) => one.key === key);
  if (control?.kind === 'button') store.send(device, control, control.value);
}

function command(id = '1'): Command | undefined {
  vi.advanceTimersToNextFrame();
  return store.snapshot().get(id);
}

function correlation(): string {
  return published.at(-1)?.correlation ?? '';
}

function reply(
  result: { ok: true; status: 'running' } | { ok: false; error: string },
  to = correlation(),
): void {
  store.handleReply({ deviceId: '1', result }, to, Date.now());
}

test('a command goes out at QoS 1 with where to answer', () => {
  send('1', 'start');
  expect(published).toEqual([
    {
      topic: 'device/1/command',
      payload: '{"action":"start"}',
      qos: 1,
      responseTopic: 'dashboard/me/reply',
      correlation: correlation(),
    },
  ]);
  expect(command()).toMatchObject({ phase: 'pending', ask: { key: 'start', name: 'Start' } });
});

test('a value that its source makes no payload of is rejected, and nothing is sent', () => {
  const device = deviceWith({ id: '1' });
  const encoding = { as: 'written', write: () => undefined } as const;
  const shared = {
    key: 'n',
    label: 'N',
    topic: 't',
    qos: 0,
    retain: false,
    encoding,
    field: undefined,
  } as const;
  store.send(device, { ...shared, kind: 'text', lengthMax: 9, replies: false }, 'x');
  expect(published).toEqual([]);
  const error = 'the template of its commands fails for this value';
  expect(command()).toMatchObject({ phase: 'rejected', error });
});

test('a second command waits for the first to end', () => {
  send('1', 'start');
  send('1', 'stop');
  send('2', 'stop');
  expect(published.map(({ topic }) => topic)).toEqual(['device/1/command', 'device/2/command']);
});

describe('confirmed', () => {
  test('by the reply', () => {
    send('1', 'start');
    vi.advanceTimersByTime(84);
    reply({ ok: true, status: 'running' });
    expect(command()).toMatchObject({ phase: 'confirmed', by: 'reply', tookMs: 84 });
  });

  test('by the new state', () => {
    send('1', 'start');
    store.handleUpdate(deviceWith({ status: 'idle' }), Date.now());
    expect(command()?.phase).toBe('pending');
    store.handleUpdate(deviceWith({ status: 'running' }), Date.now());
    expect(command()).toMatchObject({ phase: 'confirmed', by: 'state' });
  });

  test('once, though reply and state both come', () => {
    send('1', 'start');
    store.handleUpdate(deviceWith({ status: 'running' }), Date.now());
    reply({ ok: true, status: 'running' });
    expect(outcomes).toHaveLength(1);
  });

  test('and then gone by itself', () => {
    send('1', 'start');
    reply({ ok: true, status: 'running' });
    vi.advanceTimersByTime(CONFIRMED_SHOWN_MS);
    expect(command()).toBeUndefined();
  });
});

describe('of a device that does not answer', () => {
  const LAMP: Control = {
    kind: 'switch',
    key: 'light',
    label: 'Light',
    topic: 'lamp/set',
    qos: 0,
    retain: true,
    encoding: { as: 'text', before: '', after: '', words: [[true, 'ON'], [false, 'OFF']] }, // prettier-ignore
    field: 'light',
    replies: false,
  };
  const lamp = (isOn: boolean, at: number) => {
    const field = { key: 'light', label: 'Light', unit: undefined, value: isOn, at, samples: undefined };
    return deviceWith({}, { fields: [field] });
  };

  test('asks for no answer, and is confirmed by the field that takes the value since', () => {
    store.send(lamp(false, 0), LAMP, true);
    expect(published).toEqual([
      { topic: 'lamp/set', payload: 'ON', qos: 0, retain: true, correlation: correlation() },
    ]);
    store.handleUpdate(lamp(true, Date.now() - 1), Date.now());
    store.handleUpdate(lamp(false, Date.now()), Date.now());
    expect(command()?.phase).toBe('pending');
    store.handleUpdate(lamp(true, Date.now()), Date.now());
    expect(command()).toMatchObject({ phase: 'confirmed', by: 'state' });
  });

  test('nor tells its state, is done when the broker took it', async () => {
    store.send(lamp(false, 0), { ...LAMP, field: undefined }, true);
    await vi.advanceTimersByTimeAsync(0);
    expect(command()?.phase).toBe('delivered');
    vi.advanceTimersByTime(CONFIRMED_SHOWN_MS);
    expect(command()).toBeUndefined();
  });
});

describe('failed', () => {
  test('rejected by the device, in its words, until the next command', () => {
    send('1', 'start');
    reply({ ok: false, error: 'not today' });
    vi.advanceTimersByTime(600_000);
    expect(command()).toMatchObject({ phase: 'rejected', error: 'not today' });
    send('1', 'start');
    expect(command()?.phase).toBe('pending');
  });

  test('timed out after 5 s', () => {
    send('1', 'start');
    vi.advanceTimersByTime(REPLY_WITHIN_MS - 20);
    expect(command()?.phase).toBe('pending');
    vi.advanceTimersByTime(20);
    expect(command()?.phase).toBe('timed-out');
    expect(outcomes.map(([id, { phase }]) => [id, phase])).toEqual([['1', 'timed-out']]);
  });

  test('but a late reply still tells how it ended', () => {
    send('1', 'start');
    vi.advanceTimersByTime(REPLY_WITHIN_MS);
    reply({ ok: true, status: 'running' });
    expect(command()).toMatchObject({ phase: 'confirmed', by: 'reply' });
  });

  test('cut off with the connection', () => {
    send('1', 'start');
    store.handleDisconnected();
    expect(command()?.phase).toBe('interrupted');
  });

  test.each<[PublishOutcome, Partial<Command>]>([
    [{ kind: 'unheard' }, { phase: 'unheard' }],
    [
      { kind: 'refused', reason: 'Not authorized' },
      { phase: 'rejected', error: 'the broker refused it: Not authorized' },
    ],
  ])('because of %j', async (outcome, end) => {
    answer = outcome;
    send('1', 'start');
    await vi.advanceTimersByTimeAsync(0);
    expect(command()).toMatchObject(end);
  });
});

describe('not fooled', () => {
  test.each(['command-0', '', undefined])('by a reply to something else (%s)', (stranger) => {
    send('1', 'start');
    store.handleReply({ deviceId: '1', result: { ok: true, status: 'running' } }, stranger, Date.now());
    expect(command()?.phase).toBe('pending');
  });

  test('by the reply to an earlier command', () => {
    send('1', 'start');
    const first = correlation();
    vi.advanceTimersByTime(REPLY_WITHIN_MS);
    send('1', 'start');
    reply({ ok: false, error: 'late' }, first);
    expect(command()?.phase).toBe('pending');
  });

  test('by a reply or a state when nothing was asked', () => {
    store.handleReply({ deviceId: '1', result: { ok: false, error: 'x' } }, undefined, Date.now());
    store.handleUpdate(deviceWith({ status: 'running' }), Date.now());
    store.handleDisconnected();
    expect(command()).toBeUndefined();
    expect(outcomes).toEqual([]);
  });
});

describe('sent by somebody who wants to be told', () => {
  const told: Outcome['phase'][] = [];

  function sendAndListen(id: string): boolean {
    const device = deviceWith({ id });
    const [control] = device.controls;
    if (control?.kind !== 'button') throw new Error('no button');
    return store.send(device, control, control.value, (outcome) => told.push(outcome.phase));
  }

  beforeEach(() => {
    told.length = 0;
  });

  test('is told to him and nobody else, a late answer too', () => {
    expect(sendAndListen('1')).toBe(true);
    vi.advanceTimersByTime(REPLY_WITHIN_MS);
    reply({ ok: true, status: 'running' });
    expect(told).toEqual(['timed-out', 'confirmed']);
    expect(outcomes).toEqual([]);
    send('1', 'start');
    store.handleDisconnected();
    expect(told).toHaveLength(2);
    expect(outcomes).toHaveLength(1);
  });

  test('is not sent while another is pending, whose end is not his', () => {
    send('1', 'start');
    expect(sendAndListen('1')).toBe(false);
    store.handleDisconnected();
    expect([told.length, outcomes.length]).toEqual([0, 1]);
  });
});
