import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { Connection } from './mqtt/connection.ts';
import type { ToWorker } from './mqtt/protocol.ts';
import { isOnOrigin, Session } from './session.ts';

const ADA = { userName: 'ada', password: 'secret' };

let asked: { url: string; method: string; body: unknown }[];
let answer: () => Promise<Response>;
let sent: ToWorker[];
let connection: Connection;
let session: Session;

beforeEach(() => {
  asked = [];
  sent = [];
  vi.stubGlobal('fetch', (url: URL, init: RequestInit = {}) => {
    asked.push({ url: url.href, method: init.method ?? 'GET', body: init.body });
    return answer();
  });
  connection = new Connection(
    { post: (message) => sent.push(message), listen: () => undefined },
    { handleMessages: () => undefined, handleStatus: () => undefined },
  );
  session = new Session('http://lab/w/api/v1', connection);
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
    expect(connection.credentials).toBeUndefined();
    expect(connection.logins).toBe(1);
    expect(connection.snapshot().userName).toBe('ada');
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
  expect(connection.snapshot().userName).toBe('ada');
  answer = () => Promise.resolve(new Response(null, { status: 204 }));
  await session.logout();
  expect(asked.at(-1)?.method).toBe('DELETE');
  expect(sent).toEqual([{ kind: 'login', credentials: undefined }]);
});

test('nobody in particular is nobody', async () => {
  answers(200, { user: null, required: false });
  await session.find();
  expect(connection.snapshot().userName).toBeUndefined();
});

test('what cannot be had without a login asks for one', async () => {
  vi.useFakeTimers();
  answers(401, { error: 'log in' });
  expect((await session.fetch('history?topic=a')).status).toBe(401);
  expect(asked[0]?.url).toBe('http://lab/w/api/v1/history?topic=a');
  vi.advanceTimersToNextFrame();
  expect(session.snapshot().isNeeded).toBe(true);
  answers(200, { user: 'ada', required: true });
  await session.login(ADA);
  vi.advanceTimersToNextFrame();
  expect(session.snapshot().isNeeded).toBe(false);
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
