import { beforeEach, describe, expect, test, vi } from 'vitest';

import type { FromWorker, LinkStatus, ToWorker } from './mqtt/protocol.ts';
import type { Station } from './station.ts';
import { Stations } from './stations.ts';
import { brokerAt } from './testing.ts';

interface Opened {
  sent: ToWorker[];
  deliver: (message: FromWorker) => void;
  isEnded: boolean;
}

let opened: Opened[];
let stations: Stations;

beforeEach(() => {
  vi.useFakeTimers();
  opened = [];
  const openPort = () => {
    const port: Opened = { sent: [], deliver: () => undefined, isEnded: false };
    opened.push(port);
    return {
      post: (message: ToWorker) => port.sent.push(message),
      listen: (listener: (message: FromWorker) => void) => (port.deliver = listener),
      end: () => (port.isEnded = true),
    };
  };
  stations = new Stations(openPort, [brokerAt('ws://a', { name: 'a' }), brokerAt('ws://b', { name: 'b' })]);
});

function at(wanted: string | null): Station {
  const station = stations.at(wanted);
  if (station === undefined) throw new Error('no station');
  return station;
}

function listed() {
  vi.advanceTimersToNextFrame();
  return stations.snapshot().map(({ broker, status }) => [broker.name, status?.phase]);
}

test('only what is shown is opened, once', () => {
  const first = at(null);
  expect(at('a')).toBe(first);
  expect(opened).toHaveLength(1);
  expect(opened[0]?.sent[0]).toMatchObject({ kind: 'connect', url: 'ws://a' });
  expect(listed()).toEqual([
    ['a', 'connecting'],
    ['b', undefined],
  ]);
});

test('one that was shown goes on while another is', () => {
  const first = at('a');
  const second = at('b');
  expect(second).not.toBe(first);
  opened[0]?.deliver({ kind: 'status', status: { phase: 'offline', reason: 'gone' } });
  expect(listed()).toEqual([
    ['a', 'offline'],
    ['b', 'connecting'],
  ]);
  expect(at('a')).toBe(first);
});

test('all of them are opened for who wants to see how they are', () => {
  stations.openAll();
  expect(opened).toHaveLength(2);
});

test('what the address names is listed, as a stranger', () => {
  expect(at('ws://x').broker.from).toBe('address');
  expect(at('ws://x')).toBe(at('ws://x'));
  expect(listed().map(([name]) => name)).toEqual(['a', 'b', 'ws://x']);
});

test('a stranger that is kept is one no more, and goes by its name and its address', () => {
  at('ws://x');
  stations.keep([{ name: 'mine', url: 'ws://x' }]);
  expect(listed().map(([name]) => name)).toEqual(['a', 'b', 'mine']);
  expect(at('ws://x').broker).toMatchObject({ name: 'mine', from: 'browser' });
  const mine = at('mine');
  stations.keep([
    { name: 'mine', url: 'ws://x' },
    { name: 'more', url: 'ws://y' },
  ]);
  expect(at('mine')).toBe(mine);
});

test('what is kept never takes the place of what the server says', () => {
  stations.keep([{ name: 'a', url: 'ws://elsewhere' }]);
  expect(listed().map(([name]) => name)).toEqual(['a', 'b']);
  expect(at('a').broker.address).toEqual({ url: 'ws://a' });
});

test('the address needs no word for the first, and the name of any other', () => {
  const [a, b] = stations.snapshot().map(({ broker }) => broker);
  if (a === undefined || b === undefined) throw new Error('two brokers');
  expect(stations.searchFor(a)).toBe('');
  expect(stations.searchFor(b)).toBe('?broker=b');
});

describe('a login', () => {
  const CONNECTED: LinkStatus = { phase: 'connected', since: 0, refused: [] };
  const REFUSED: LinkStatus = { phase: 'login', reason: 'Not authorized' };
  const ADA = { userName: 'ada', password: 'secret' };
  const JOE = { userName: 'joe', password: 'other' };

  const hear = (index: number, status: LinkStatus): void =>
    opened[index]?.deliver({ kind: 'status', status });
  const news = (index: number): void => {
    const text = '{"deviceId":"1","status":"idle","temperature":1,"timestamp":1}';
    const message = { topic: 'device/1/state', text, bytes: 1, retain: true, qos: 0 as const, at: 1 };
    opened[index]?.deliver({ kind: 'messages', messages: [message], skipped: 0 });
  };
  const logged = (station: Station): number => {
    vi.advanceTimersToNextFrame();
    return station.log.snapshot().entries.length;
  };

  test('of who was refused as nobody, and of the same user again, loses nothing', () => {
    const station = at('a');
    hear(0, REFUSED);
    station.login(ADA);
    hear(0, CONNECTED);
    news(0);
    station.login({ ...ADA, password: 'changed' });
    expect(at('a')).toBe(station);
    expect(logged(station)).toBe(1);
    expect(opened).toHaveLength(1);
    expect(opened[0]?.sent.filter(({ kind }) => kind === 'login')).toHaveLength(2);
  });

  test('as somebody else takes a station of its own, and that of the user before is over', () => {
    const other = at('b');
    const adas = at('a');
    hear(1, REFUSED);
    adas.login(ADA);
    hear(1, CONNECTED);
    news(1);
    let ends = 0;
    adas.whenEnded(() => (ends += 1));
    adas.login(JOE);
    const joes = at('a');
    expect(joes).not.toBe(adas);
    expect(joes.connection.userName).toBe('joe');
    expect(logged(joes)).toBe(0);
    expect(opened.map(({ isEnded }) => isEnded)).toEqual([false, true, false]);
    expect(opened[2]?.sent.map(({ kind }) => kind)).toEqual(['login', 'connect']);
    expect(opened[2]?.sent[0]).toEqual({ kind: 'login', credentials: JOE });
    expect(ends).toBe(1);
    expect(at('b')).toBe(other);
  });

  test('ends what was on its way, and nothing that comes late is heard', async () => {
    const nobodys = at('a');
    hear(0, CONNECTED);
    news(0);
    const outcome = nobodys.connection.publish({ topic: 't', payload: '', qos: 1 });
    const device = nobodys.devices.device('1');
    const start = device?.controls.find(({ kind }) => kind === 'button');
    if (device === undefined || start?.kind !== 'button') throw new Error('no button');
    const step = {
      device,
      title: '1',
      topic: 't',
      payload: '',
      act: { kind: 'control', control: start, value: 1 },
    } as const;
    nobodys.bulk.begin('Start', { steps: [step], unable: [] }, 10);
    nobodys.login(ADA);
    expect(await outcome).toEqual({ kind: 'interrupted' });
    expect(nobodys.bulk.isBusy).toBe(false);
    expect(await nobodys.connection.publish({ topic: 't', payload: '', qos: 1 })).toEqual({
      kind: 'interrupted',
    });
    const before = logged(nobodys);
    news(0);
    expect(logged(nobodys)).toBe(before);
    let isLateEnded = false;
    nobodys.whenEnded(() => (isLateEnded = true));
    expect(isLateEnded).toBe(true);
  });

  test('while another is tried takes a station of its own: what comes next may be of either', () => {
    const nobodys = at('a');
    nobodys.login(ADA);
    const adas = at('a');
    expect(adas).not.toBe(nobodys);
    adas.login(JOE);
    expect(at('a')).not.toBe(adas);
    expect(opened.map(({ isEnded }) => isEnded)).toEqual([true, true, false]);
  });

  test('that was refused may be followed by that of another in the same station', () => {
    const station = at('a');
    hear(0, REFUSED);
    station.login(ADA);
    hear(0, REFUSED);
    station.login(JOE);
    expect(at('a')).toBe(station);
  });

  test('is followed by nobody after a logout', () => {
    const station = at('a');
    hear(0, REFUSED);
    station.login(ADA);
    hear(0, CONNECTED);
    station.login(undefined);
    expect(at('a').connection.userName).toBeUndefined();
    expect(opened[1]?.sent.map(({ kind }) => kind)).toEqual(['connect']);
    expect(listed()).toEqual([
      ['a', 'connecting'],
      ['b', undefined],
    ]);
  });
});
