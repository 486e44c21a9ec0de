import { beforeEach, expect, test, vi } from 'vitest';

import type { FromWorker, ToWorker } from './mqtt/protocol.ts';
import type { Station } from './station.ts';
import { Stations } from './stations.ts';
import { brokerAt } from './testing.ts';

interface Opened {
  sent: ToWorker[];
  deliver: (message: FromWorker) => void;
}

let opened: Opened[];
let stations: Stations;

beforeEach(() => {
  vi.useFakeTimers();
  opened = [];
  const openPort = () => {
    const port: Opened = { sent: [], deliver: () => undefined };
    opened.push(port);
    return {
      post: (message: ToWorker) => port.sent.push(message),
      listen: (listener: (message: FromWorker) => void) => (port.deliver = listener),
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
