import { beforeEach, expect, test, vi } from 'vitest';

import type { TreeStatus } from '../protocol.ts';
import type { News, SocketEvents } from './topics-source.ts';
import { SETTLED_MS, TopicsSource, topicsUrl } from './topics-source.ts';

let sockets: { url: string; events: SocketEvents; isClosed: boolean }[];
let news: News[];
let statuses: TreeStatus[];
let source: TopicsSource;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  sockets = [];
  news = [];
  statuses = [];
  source = new TopicsSource(
    {
      open: (url, events) => {
        const socket = { url, events, isClosed: false };
        sockets.push(socket);
        return {
          close: () => {
            socket.isClosed = true;
          },
        };
      },
      ask: () => Promise.resolve('32 others are looking'),
    },
    {
      handleNews: (value) => news.push(value),
      handleStatus: (value) => statuses.push(value),
    },
    () => 0,
  );
  source.start('ws://broker/api/v1/topics');
});

function say(frame: unknown): void {
  sockets.at(-1)?.events.handleText(typeof frame === 'string' ? frame : JSON.stringify(frame));
}

function entry(topic: string, messages: number, change: Record<string, unknown> = {}) {
  return {
    topic,
    messages,
    at: 1,
    qos: 1,
    retain: false,
    isRetained: false,
    bytes: 1,
    payload: 'x',
    ...change,
  };
}

async function reconnect(): Promise<void> {
  sockets.at(-1)?.events.handleClosed();
  await vi.advanceTimersByTimeAsync(2_000);
}

test('the address is below that of the interface, as a WebSocket', () => {
  expect(topicsUrl('http://host:3000/lab/api/v1')).toBe('ws://host:3000/lab/api/v1/topics');
  expect(topicsUrl('https://host/api/v1/')).toBe('wss://host/api/v1/topics');
});

test('what the broker counts in all becomes what has come since', () => {
  say({ since: 1, now: 999_000 });
  say({ topics: [entry('a', 7, { areOld: true })], gone: [], beyond: 0, lost: 0 });
  say({ topics: [entry('a', 9)], gone: ['b'], beyond: 3, lost: 2 });
  expect(statuses.at(-1)).toMatchObject({ phase: 'live' });
  expect(news.map(({ updates }) => updates.map(({ count, isRated }) => [count, isRated]))).toEqual([
    [[7, false]],
    [[2, true]],
  ]);
  expect(news[1]).toMatchObject({ gone: ['b'], beyond: 3, lost: 2 });
});

test('times are those of this clock, payloads are bytes', () => {
  say({ since: 1, now: 990_000 });
  say({ topics: [entry('a', 1, { at: 989_000, payload: undefined, payloadBase64: '/wA=', bytes: 9 })] });
  expect(news[0]?.updates[0]?.message).toMatchObject({
    at: 999_000,
    bytes: 9,
    qos: 1,
    payload: new Uint8Array([0xff, 0]),
  });
});

test('after a loss it connects again, says why it could not, and counts on', async () => {
  say({ since: 1, now: 0 });
  say({ topics: [entry('a', 7)] });
  await reconnect();
  expect(sockets).toHaveLength(2);
  expect(statuses.find(({ phase }) => phase === 'waiting')).toMatchObject({
    reason: 'the connection was closed',
  });
  await reconnect();
  expect(statuses.findLast(({ phase }) => phase === 'waiting')).toMatchObject({
    reason: '32 others are looking',
  });
  say({ since: 1, now: 0 });
  say({ topics: [entry('a', 10, { areOld: true })] });
  expect(news.at(-1)?.updates[0]).toMatchObject({ count: 3, isRated: false });
});

test('another tree counts from nothing, and what it has not got is retained no more', async () => {
  say({ since: 1, now: 0 });
  say({ topics: [entry('a', 7, { isRetained: true }), entry('b', 7, { isRetained: true })] });
  await reconnect();
  say({ since: 2, now: 0 });
  say({ topics: [entry('a', 2, { isRetained: true })] });
  expect(news.at(-1)?.updates[0]).toMatchObject({ count: 2 });
  await vi.advanceTimersByTimeAsync(SETTLED_MS);
  expect(news.at(-1)?.updates).toEqual([
    { topic: 'b', count: 0, isRated: false, isRetained: false, message: undefined },
  ]);
});

test('what makes no sense is passed over', () => {
  say({ since: 1, now: 0 });
  for (const frame of ['no JSON', [], 'null', { topics: 7, gone: {} }, { topics: [null, { topic: 1 }] }])
    say(frame);
  say({ topics: [entry('a', -1, { bytes: 'x', qos: 9, at: null, payloadBase64: '!', payload: 7 })] });
  const updates = news.flatMap((value) => value.updates);
  expect(updates).toHaveLength(1);
  expect(updates[0]).toMatchObject({ count: 0, message: { qos: 0, bytes: 0, payload: new Uint8Array() } });
});

test('nothing is said and tried any more when it is stopped', async () => {
  say({ since: 1, now: 0 });
  source.stop();
  expect(sockets[0]?.isClosed).toBe(true);
  say({ topics: [entry('a', 1)] });
  sockets[0]?.events.handleClosed();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(news).toEqual([]);
  expect(sockets).toHaveLength(1);
});
