import { beforeEach, expect, test } from 'vitest';

import { GATHERED_BYTES_MAX, gatherWrites } from './gathering.ts';

let done: (number[] | 'closed')[];
let socket: Pick<WebSocket, 'send' | 'close'>;

beforeEach(() => {
  done = [];
  socket = {
    send: (bytes) => done.push([...(bytes as Uint8Array)]),
    close: () => done.push('closed'),
  };
  gatherWrites(socket);
});

test('what is written in one go is sent at its end, together and in order', async () => {
  socket.send(Uint8Array.of(1, 2));
  socket.send(Uint8Array.of(3));
  expect(done).toEqual([]);
  await Promise.resolve();
  expect(done).toEqual([[1, 2, 3]]);
  socket.send(Uint8Array.of(4));
  await Promise.resolve();
  expect(done).toEqual([[1, 2, 3], [4]]);
});

test('what is large does not wait, nor what stands before it', () => {
  socket.send(Uint8Array.of(1));
  socket.send(new Uint8Array(GATHERED_BYTES_MAX));
  expect(done.map(({ length }) => length)).toEqual([1 + GATHERED_BYTES_MAX]);
});

test('what was written before the end is sent before it, once', async () => {
  socket.send(Uint8Array.of(1));
  socket.close();
  await Promise.resolve();
  expect(done).toEqual([[1], 'closed']);
});
