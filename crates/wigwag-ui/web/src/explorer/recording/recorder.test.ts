import { expect, test, vi } from 'vitest';

import type { Home } from '../explorer.ts';
import type { FromRecorder, ToRecorder } from './protocol.ts';
import { Recorder } from './recorder.ts';

function open() {
  vi.useFakeTimers();
  const posted: ToRecorder[] = [];
  let say: (message: FromRecorder) => void = () => undefined;
  let ended = 0;
  const home: Home = {
    subscribe: () => () => undefined,
    snapshot: () => ({ url: 'ws://b', status: { phase: 'connecting', attempt: 1 }, downSince: undefined }),
    credentials: undefined,
  };
  const recorder = new Recorder(
    () => ({
      post: (message) => posted.push(message),
      listen: (listener) => (say = listener),
      end: () => (ended += 1),
    }),
    home,
  );
  const view = () => {
    vi.advanceTimersToNextFrame();
    return recorder.snapshot();
  };
  const hear = (message: FromRecorder): void => {
    say(message);
  };
  return { recorder, posted, hear, view, ended: () => ended };
}

const CONNECTED: FromRecorder = { kind: 'status', status: { phase: 'connected', since: 0, refused: [] } };
const LOST: FromRecorder = {
  kind: 'status',
  status: { phase: 'waiting', retryAt: 0, attempt: 1, reason: 'r' },
};
const stats = { messages: 2, bytes: 20, isFull: false };

test('a recording goes where the page is, one at a time, and is kept until it is given up', () => {
  const { recorder, posted, hear, view, ended } = open();
  recorder.start(['a/#']);
  recorder.start(['b/#']);
  expect(posted).toMatchObject([{ kind: 'start', url: 'ws://b', filters: ['a/#'] }]);
  hear({ kind: 'stats', stats });
  expect(view()).toMatchObject({ phase: 'recording', stats });
  recorder.stop();
  expect(posted.at(-1)).toEqual({ kind: 'stop' });
  const lines = new Blob(['x']);
  hear({ kind: 'recorded', stats, lines });
  expect(view()).toMatchObject({ phase: 'recorded', filters: ['a/#'], lines });
  expect(ended()).toBe(1);
  recorder.discard();
  expect(view()).toEqual({ phase: 'idle' });
});

test('counts how often the connection was lost, because something is missing then', () => {
  const { recorder, hear, view } = open();
  recorder.start(['#']);
  for (const message of [CONNECTED, LOST, CONNECTED, LOST, LOST]) hear(message);
  expect(view()).toMatchObject({ phase: 'recording', gaps: 2 });
});
