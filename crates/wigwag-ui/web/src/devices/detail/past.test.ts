import { beforeEach, describe, expect, test, vi } from 'vitest';

import { Refusal } from '../../api.ts';
import type { Incoming } from '../../mqtt/protocol.ts';
import { incoming } from '../testing.ts';
import { DeviceRecord } from './device-record.ts';
import { MESSAGES_MAX, Past } from './past.ts';
import type { RecordedPage, Span } from './recording.ts';
import { POINTS_MAX } from './series.ts';

const HOUR_MS = 3_600_000;
const NOW = Date.UTC(2026, 0, 2);

let record: DeviceRecord;
let asked: (Span & { topic: string })[];
/** A message a minute, its number being the minute. */
let recordedSince: number;
let answer: (topic: string, span: Span) => RecordedPage;
let topics: string[];

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  record = new DeviceRecord(NOW);
  asked = [];
  topics = ['device/1/state'];
  recordedSince = NOW - 12 * HOUR_MS;
  answer = (topic, { from, to }) => ({
    messages: minutes(topic, from, to),
    next: undefined,
    recordedSince,
    isRecorded: true,
  });
});

function minutes(topic: string, from: number, to: number): Incoming[] {
  const messages: Incoming[] = [];
  for (let at = Math.ceil(Math.max(from, recordedSince) / 60_000) * 60_000; at < to; at += 60_000) {
    messages.push(incoming(topic, String(at / 60_000), { at }));
  }
  return messages;
}

function open(): Past {
  return new Past({
    topics,
    record,
    readPage: (topic, span) => {
      asked.push({ topic, ...span });
      return Promise.resolve().then(() => answer(topic, span));
    },
    numbersIn: ({ topic, text }) => [[topic, Number(text)]],
  });
}

async function settled(past: Past) {
  await vi.advanceTimersByTimeAsync(100);
  return past.snapshot();
}

function times(topic = 'device/1/state'): number[] {
  const series = record.snapshot().get(topic);
  return series?.within({ from: 0, to: Infinity }).map(({ at }) => at) ?? [];
}

describe('a span that is looked at', () => {
  test('is read, newest first, up to what the page has heard itself', async () => {
    const past = open();
    past.look({ from: NOW - HOUR_MS, to: NOW + 500 }, NOW);
    expect(await settled(past)).toMatchObject({ phase: 'idle', recordedSince, isCut: false });
    expect(asked[0]).toMatchObject({ to: NOW });
    expect(asked.map(({ to }) => to)).toEqual(asked.map(({ to }) => to).sort((a, b) => b - a));
    expect(asked.at(-1)?.from).toBe(NOW - HOUR_MS);
    expect(times()).toHaveLength(60);
    expect(record.log.snapshot().entries.map(({ at }) => at)).toEqual(times());
  });

  test('with a great many messages is read in shorter ones, none of which fills the memory', async () => {
    const PAGE_MS = 2_000;
    // A message every millisecond.
    answer = (topic, { from, to }) => {
      const end = Math.min(to, from + PAGE_MS);
      const messages = Array.from({ length: Math.max(0, end - from) }, (_, index) =>
        incoming(topic, '1', { at: from + index }),
      );
      return { messages, next: end < to ? end : undefined, recordedSince, isRecorded: true };
    };
    const past = open();
    past.look({ from: NOW - 60_000, to: NOW }, NOW);
    expect(await settled(past)).toMatchObject({ phase: 'idle', isCut: true });
    expect(times()).toHaveLength(POINTS_MAX);
    let [pages, pagesMax] = [0, 0];
    for (const [index, { from }] of asked.entries()) {
      pages = from === (asked[index - 1]?.from ?? 0) + PAGE_MS ? pages + 1 : 1;
      pagesMax = Math.max(pagesMax, pages);
    }
    expect(pagesMax).toBeLessThanOrEqual(MESSAGES_MAX / PAGE_MS + 1);
  });

  test('is asked for once, and a longer one from where it ended', async () => {
    const past = open();
    past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
    await settled(past);
    asked = [];
    past.look({ from: NOW - HOUR_MS + 500, to: NOW + 500 }, NOW);
    await settled(past);
    expect(asked).toEqual([]);
    past.look({ from: NOW - 24 * HOUR_MS, to: NOW }, NOW);
    await settled(past);
    expect(asked[0]).toMatchObject({ to: NOW - HOUR_MS });
    expect(times()[0]).toBe(recordedSince);
    // Nothing before the recording is asked for.
    expect(asked.length).toBeLessThan(8);
  });

  test('may have been missed by the page while there was no connection', async () => {
    const past = open();
    past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
    await settled(past);
    asked = [];
    const later = NOW + HOUR_MS;
    past.look({ from: later - HOUR_MS, to: later }, later - 60_000);
    await settled(past);
    expect(asked[0]).toMatchObject({ to: later - 60_000 });
    expect(asked.at(-1)?.from).toBe(NOW);
  });

  test('may take more than one answer', async () => {
    answer = (topic, { from, to }) => {
      const all = minutes(topic, from, to);
      return { messages: all.slice(0, 7), next: all[7]?.at, recordedSince, isRecorded: true };
    };
    const past = open();
    past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
    await settled(past);
    expect(times()).toHaveLength(60);
  });

  test('may be more than there is a place for', async () => {
    recordedSince = 0;
    answer = (topic, { from, to }) => {
      const messages: Incoming[] = [];
      for (let at = from; at < to; at += 100) messages.push(incoming(topic, String(at), { at }));
      return { messages, next: undefined, recordedSince, isRecorded: true };
    };
    const past = open();
    past.look({ from: NOW - 24 * HOUR_MS, to: NOW }, NOW);
    expect(await settled(past)).toMatchObject({ phase: 'idle', isCut: true });
    expect(times().at(-1)).toBe(NOW - 100);
    expect(asked.length).toBeLessThan(30);
  });
});

test('values of several topics are put in order', async () => {
  topics = ['a', 'b'];
  const past = open();
  past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
  await settled(past);
  expect([times('a').length, times('b').length]).toEqual([60, 60]);
  const ats = record.log.snapshot().entries.map(({ at }) => at);
  expect(ats).toEqual([...ats].sort((a, b) => a - b));
});

test('a failure is told, and tried again when somebody says so', async () => {
  let isDown = true;
  const good = answer;
  answer = (topic, span) => {
    if (isDown) throw new Error('the server does not answer');
    return good(topic, span);
  };
  const past = open();
  past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
  expect(await settled(past)).toMatchObject({ phase: 'failed', reason: 'the server does not answer' });
  past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
  await settled(past);
  expect(asked).toHaveLength(1);
  isDown = false;
  past.tryAgain();
  expect(await settled(past)).toMatchObject({ phase: 'idle' });
  expect(times()).toHaveLength(60);
});

test('a broker that does not record says why', async () => {
  answer = () => {
    throw new Refusal(404, 'the recorder is off');
  };
  const past = open();
  past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
  expect(await settled(past)).toMatchObject({ phase: 'refused', reason: 'the recorder is off' });
});

test('a broker that records other topics says so', async () => {
  answer = () => ({ messages: [], next: undefined, recordedSince, isRecorded: false });
  const past = open();
  past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
  expect(await settled(past)).toMatchObject({ phase: 'idle', isRecorded: false });
});

test('who leaves is not waited for, and finds the rest on coming back', async () => {
  const past = open();
  past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
  past.stop();
  expect(await settled(past)).toMatchObject({ phase: 'idle' });
  expect(times()).toEqual([]);
  past.look({ from: NOW - HOUR_MS, to: NOW }, NOW);
  await settled(past);
  expect(times()).toHaveLength(60);
});
