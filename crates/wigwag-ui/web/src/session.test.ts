import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { Port } from './mqtt/connection.ts';
import type { LinkStatus, ToWorker } from './mqtt/protocol.ts';
import { askerOf, isOnOrigin, Session, sessionOf } from './session.ts';
import { Station } from './station.ts';
import { brokerAt } from './testing.ts';

const ADA = { userName: 'ada', password: 'secret' };

const neverStopped = new AbortController().signal;

let asked: { url: string; method: string; body: unknown }[];
let answer: () => Promise<Response>;
let sent: ToWorker[];
let station: Station;
let port: Port;
let hear: (status: LinkStatus) => void;
let session: Session;
let begun: number;

beforeEach(() => {
  asked = [];
  sent = [];
  vi.stubGlobal('fetch', (url: URL, init: RequestInit = {}) => {
    asked.push({ url: url.href, method: init.method ?? 'GET', body: init.body });
    return answer();
  });
  port = {
    post: (message) => sent.push(message),
    listen: (listener) => {
      hear = (status) => {
        listener({ kind: 'status', status });
      };
    },
    end: () => undefined,
  };
  station = new Station(port, brokerAt('ws://lab'));
  hear({ phase: 'login', reason: 'Not authorized' });
  sent = [];
  begun = 0;
  session = new Session('http://lab/w/api/v1', station, () => (begun += 1));
});

afterEach(() => {
  vi.unstubAllGlobals();
});

function answers(status: number, body?: unknown): void {
  answer = () => Promise.resolve(new Response(JSON.stringify(body), { status }));
}

describe('a login', () => {
  test('leaves no password in the page: the connection is made anew without one', async () => {
    answers(200, { user: 'ada', required: true });
    expect(await session.login(ADA)).toBeUndefined();
    expect(asked).toEqual([
      { url: 'http://lab/w/api/v1/session', method: 'POST', body: JSON.stringify(ADA) },
    ]);
    expect(sent).toEqual([{ kind: 'login', credentials: undefined }]);
    expect(station.connection.credentials).toBeUndefined();
    expect(station.connection.logins).toBe(1);
    expect(station.connection.snapshot().userName).toBe('ada');
  });

  test('that is refused says why, and changes nothing', async () => {
    answers(401, { error: 'no such user, or another password' });
    expect(await session.login(ADA)).toBe('no such user, or another password');
    expect(sent).toEqual([]);
  });

  test.each([
    ['no sessions', 404, { error: 'there are no sessions here' }],
    ['no users', 200, { user: null, required: false }],
  ])('is left to MQTT where the server has %s', async (_what, status, said) => {
    answers(status, said);
    expect(await session.login(ADA)).toBeUndefined();
    expect(sent).toEqual([{ kind: 'login', credentials: ADA }]);
  });

  test('without an answer says so', async () => {
    answer = () => Promise.reject(new TypeError('network'));
    expect(await session.login(ADA)).toBe('there was no answer');
    answers(502, '<html>');
    expect(await session.login(ADA)).toBe('status 502');
  });
});

test('a session is found again after a reload, and ends with a logout', async () => {
  answers(200, { user: 'ada', required: true });
  await session.find();
  expect(sent).toEqual([]);
  expect(station.connection.snapshot().userName).toBe('ada');
  answer = () => Promise.resolve(new Response(null, { status: 204 }));
  await session.logout();
  expect(asked.at(-1)?.method).toBe('DELETE');
  expect(begun).toBe(1);
});

test('the page begins anew for somebody else, and goes on for the same user', async () => {
  answers(200, { user: 'ada', required: true });
  station.connection.handleSession('ada');
  hear({ phase: 'connected', since: 0, refused: [] });
  await session.login(ADA);
  expect(begun).toBe(0);
  answers(200, { user: 'joe', required: true });
  await session.login({ ...ADA, userName: 'joe' });
  expect(begun).toBe(1);
});

test('nobody in particular is nobody', async () => {
  answers(200, { user: null, required: false });
  await session.find();
  expect(station.connection.snapshot().userName).toBeUndefined();
});

describe('what cannot be had without a login', () => {
  test('asks for one, until there is one', async () => {
    vi.useFakeTimers();
    const origin = new URL(document.baseURI);
    const broker = brokerAt(`ws://${origin.host}/mqtt`, { api: 'api/v1' });
    const station = new Station(port, broker);
    hear({ phase: 'login', reason: 'Not authorized' });
    const askBroker = askerOf(station);
    const own = sessionOf(station);
    if (askBroker === undefined || own === undefined) throw new Error('no interface');
    const isNeeded = () => {
      vi.advanceTimersToNextFrame();
      return own.snapshot().isNeeded;
    };
    answers(403, { error: 'not yours' });
    await expect(askBroker('history', { topic: 'a' }, neverStopped)).rejects.toThrow('not yours');
    expect(isNeeded()).toBe(false);
    answers(401, { error: 'log in' });
    await expect(askBroker('history', { topic: 'a' }, neverStopped)).rejects.toThrow('log in');
    expect(asked.at(-1)?.url).toBe(`${origin.origin}/api/v1/history?topic=a`);
    expect(isNeeded()).toBe(true);
    answers(200, { user: 'ada', required: true });
    await own.login(ADA);
    expect(isNeeded()).toBe(false);
  });

  test('is not asked of a broker without an interface', () => {
    const station = new Station(port, brokerAt('ws://b'));
    expect(askerOf(station)).toBeUndefined();
  });
});

test.each([
  ['ws://lab:3000/mqtt', true],
  ['ws://lab:9001', false],
  ['wss://lab:3000/mqtt', false],
  ['ws://elsewhere:3000/mqtt', false],
  ['nonsense', false],
])('whether %s is on the origin of the page: %s', (url, expected) => {
  expect(isOnOrigin(url, 'http://lab:3000/api/v1')).toBe(expected);
});
