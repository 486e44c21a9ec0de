import { beforeEach, expect, test, vi } from 'vitest';

import { Batch, BATCH_EVERY_MS, BATCH_MESSAGES_MAX, PIECE_MESSAGES_MAX } from './batch.ts';
import type { FromWorker, Incoming } from './protocol.ts';

const posted: FromWorker[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  posted.length = 0;
});

function message(text: string): Incoming {
  return { topic: 't', text, bytes: text.length, retain: false, qos: 0, at: 0 };
}

function newBatch(): Batch {
  return new Batch((value) => posted.push(value));
}

test('after a quiet moment a message is handed over at once', () => {
  newBatch().add(message('a'));
  vi.advanceTimersByTime(0);
  expect(posted).toHaveLength(1);
});

test('messages of a moment are handed over together and in order', () => {
  const batch = newBatch();
  batch.add(message('first'));
  batch.flush();
  posted.length = 0;
  batch.add(message('a'));
  vi.advanceTimersByTime(BATCH_EVERY_MS - 1);
  batch.add(message('b'));
  expect(posted).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(posted).toEqual([{ kind: 'messages', messages: [message('a'), message('b')], skipped: 0 }]);
});

test('nothing is handed over when nothing came', () => {
  newBatch().flush();
  vi.advanceTimersByTime(10 * BATCH_EVERY_MS);
  expect(posted).toEqual([]);
});

test('of a flood the newest are kept and the others counted', () => {
  const batch = newBatch();
  const sent = 3 * BATCH_MESSAGES_MAX + 7;
  for (let index = 0; index < sent; index++) batch.add(message(String(index)));
  batch.flush();
  const pieces = posted.filter((value) => value.kind === 'messages');
  const messages = pieces.flatMap((piece) => piece.messages);
  expect(messages).toHaveLength(BATCH_MESSAGES_MAX);
  expect(messages.at(-1)?.text).toBe(String(sent - 1));
  expect(pieces.reduce((sum, { skipped }) => sum + skipped, 0)).toBe(sent - BATCH_MESSAGES_MAX);
});

test('the page gets many messages in pieces, in order', () => {
  const batch = newBatch();
  const sent = 2 * PIECE_MESSAGES_MAX + 1;
  for (let index = 0; index < sent; index++) batch.add(message(String(index)));
  batch.flush();
  const pieces = posted.flatMap((value) => (value.kind === 'messages' ? [value.messages] : []));
  expect(pieces.map(({ length }) => length)).toEqual([PIECE_MESSAGES_MAX, PIECE_MESSAGES_MAX, 1]);
  expect(pieces.flat().map(({ text }) => text)).toEqual(
    Array.from({ length: sent }, (_, index) => String(index)),
  );
});
