import { beforeEach, expect, test, vi } from 'vitest';

import {
  Batch,
  BATCH_EVERY_MS,
  PIECE_MESSAGES_MAX,
  WAITING_BYTES_MAX,
  WAITING_MESSAGES_MAX,
} from './batch.ts';
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
  vi.advanceTimersByTime(0);
  batch.handleHandled();
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
  const sent = 3 * WAITING_MESSAGES_MAX + 7;
  for (let index = 0; index < sent; index++) batch.add(message(String(index)));
  batch.flush();
  expect(texts()).toHaveLength(WAITING_MESSAGES_MAX);
  expect(texts().at(-1)).toBe(String(sent - 1));
  expect(skipped()).toBe(sent - WAITING_MESSAGES_MAX);
});

test('of large messages fewer are kept', () => {
  const batch = newBatch();
  const large = 'x'.repeat(1024 * 1024);
  const fitting = WAITING_BYTES_MAX / large.length;
  for (let index = 0; index < 3 * fitting + 1; index++) batch.add(message(large));
  batch.flush();
  expect(texts()).toHaveLength(fitting);
  expect(skipped()).toBe(2 * fitting + 1);
});

test('the page gets a piece when it has handled the one before, and all of them in order', () => {
  const batch = newBatch();
  const sent = 2 * PIECE_MESSAGES_MAX + 1;
  for (let index = 0; index < sent; index++) batch.add(message(String(index)));
  vi.advanceTimersByTime(10 * BATCH_EVERY_MS);
  expect(posted).toHaveLength(1);
  batch.handleHandled();
  expect(posted).toHaveLength(2);
  batch.handleHandled();
  // Fewer than a piece wait for others.
  expect(posted).toHaveLength(2);
  vi.advanceTimersByTime(BATCH_EVERY_MS);
  expect(pieces().map(({ messages }) => messages.length)).toEqual([
    PIECE_MESSAGES_MAX,
    PIECE_MESSAGES_MAX,
    1,
  ]);
  expect(texts()).toEqual(Array.from({ length: sent }, (_, index) => String(index)));
});

test('what is to be seen before something else does not wait for the page', () => {
  const batch = newBatch();
  for (let index = 0; index < 3 * PIECE_MESSAGES_MAX; index++) batch.add(message('a'));
  batch.flush();
  expect(posted).toHaveLength(3);
  batch.add(message('b'));
  batch.handleHandled();
  batch.handleHandled();
  vi.advanceTimersByTime(BATCH_EVERY_MS);
  expect(posted).toHaveLength(3);
  batch.handleHandled();
  vi.advanceTimersByTime(BATCH_EVERY_MS);
  expect(texts().at(-1)).toBe('b');
});

function pieces() {
  return posted.filter((value) => value.kind === 'messages');
}

function texts(): string[] {
  return pieces().flatMap(({ messages }) => messages.map(({ text }) => text));
}

function skipped(): number {
  return pieces().reduce((sum, piece) => sum + piece.skipped, 0);
}
