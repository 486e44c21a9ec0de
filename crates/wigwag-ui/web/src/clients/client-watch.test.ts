import { beforeEach, expect, test, vi } from 'vitest';

import type { FindClients } from './client-facts.ts';
import { readClients } from './client-facts.ts';
import { ClientWatch, LOOK_EVERY_MS } from './client-watch.ts';

let asked: object[];
let answers: (by: object) => unknown;

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  answers = () => ({ clients: [{ id: 'press' }] });
});

const find: FindClients = (by) => {
  asked.push(by);
  return Promise.resolve().then(() => readClients(answers(by)));
};

async function after(watch: ClientWatch, ms = 100) {
  await vi.advanceTimersByTimeAsync(ms);
  return watch.snapshot();
}

test('clients are looked at again and again, until nobody looks', async () => {
  const watch = new ClientWatch(['device/1/online'], find);
  const stop = watch.watch();
  expect((await after(watch)).clients.map(({ id }) => id)).toEqual(['press']);
  await after(watch, LOOK_EVERY_MS);
  expect(asked).toEqual([{ topic: 'device/1/online' }, { topic: 'device/1/online' }]);
  stop();
  await after(watch, 10 * LOOK_EVERY_MS);
  expect(asked).toHaveLength(2);
});

test('who has no Will any more is asked for by name', async () => {
  const watch = new ClientWatch(['device/1/online'], find);
  watch.watch();
  await after(watch);
  answers = (by) => ({ clients: 'id' in by ? [{ id: 'press', connection: null }] : [] });
  const { clients } = await after(watch, LOOK_EVERY_MS);
  expect([clients.map(({ id }) => id), asked.at(-1)]).toEqual([['press'], { id: 'press' }]);
  answers = () => ({ clients: [] });
  expect((await after(watch, LOOK_EVERY_MS)).clients).toEqual([]);
});

test('a failure keeps what is known, and says so', async () => {
  const watch = new ClientWatch(['device/1/online'], find);
  watch.watch();
  await after(watch);
  answers = () => ({});
  const view = await after(watch, LOOK_EVERY_MS);
  expect([view.clients.length, view.problem]).toEqual([1, 'the server’s answer is not a list of clients']);
});
