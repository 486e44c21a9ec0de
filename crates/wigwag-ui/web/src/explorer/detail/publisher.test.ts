import { beforeEach, expect, test, vi } from 'vitest';

import type { Outgoing, PublishOutcome } from '../../mqtt/protocol.ts';
import { Publisher } from './publisher.ts';

const MESSAGE: Outgoing = { topic: 't', payload: 'x', qos: 0 };

const publish = vi.fn<(message: Outgoing) => Promise<PublishOutcome>>();
let publisher: Publisher;

beforeEach(() => {
  vi.useFakeTimers();
  publish.mockReset().mockResolvedValue({ kind: 'accepted' });
  publisher = new Publisher(publish);
});

function view() {
  vi.advanceTimersToNextFrame();
  return publisher.snapshot();
}

test('what became of the last message is told', async () => {
  const sending = publisher.send(MESSAGE);
  expect(view().last).toMatchObject({ topic: 't', outcome: undefined });
  await sending;
  expect(view().last).toMatchObject({ topic: 't', outcome: { kind: 'accepted' } });
});

test('repeating sends at the pace and as often as asked', async () => {
  publisher.repeat(MESSAGE, 1_000, 3);
  await vi.advanceTimersByTimeAsync(0);
  expect(publish).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(999);
  expect(publish).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(publish).toHaveBeenCalledTimes(2);
  expect(view().repetition).toEqual({ sent: 2, times: 3 });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(publish).toHaveBeenCalledTimes(3);
  expect(view().repetition).toBeUndefined();
});

test('repeating ends when it is stopped', async () => {
  publisher.repeat(MESSAGE, 1_000, undefined);
  await vi.advanceTimersByTimeAsync(1_500);
  publisher.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(publish).toHaveBeenCalledTimes(2);
});

test('repeating ends when a message is refused, and says why', async () => {
  publish.mockResolvedValueOnce({ kind: 'accepted' }).mockResolvedValue({ kind: 'refused', reason: 'no' });
  publisher.repeat(MESSAGE, 1_000, undefined);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(publish).toHaveBeenCalledTimes(2);
  expect(view()).toMatchObject({
    repetition: undefined,
    last: { outcome: { kind: 'refused', reason: 'no' } },
  });
});

test('a broker that answers slowly gets one message at a time', async () => {
  publish.mockImplementation(
    () => new Promise((resolve) => setTimeout(resolve, 5_000, { kind: 'accepted' } satisfies PublishOutcome)),
  );
  publisher.repeat(MESSAGE, 100, undefined);
  await vi.advanceTimersByTimeAsync(4_999);
  expect(publish).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(10);
  expect(publish).toHaveBeenCalledTimes(2);
});
