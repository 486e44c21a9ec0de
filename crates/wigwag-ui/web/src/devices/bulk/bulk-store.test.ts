import { beforeEach, expect, test, vi } from 'vitest';

import type { Ending } from '../command-store.ts';
import type { Device } from '../model.ts';
import { deviceWith } from '../testing.ts';
import type { Send } from './bulk-store.ts';
import { BulkStore, PENDING_MAX } from './bulk-store.ts';
import type { Plan, Step } from './plan.ts';
import { resultsCsv } from './results-csv.ts';

let store: BulkStore;
let sent: { step: Step; told: (end: Ending) => void }[];
let answer: ReturnType<Send>;
let said: string[];

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  sent = [];
  said = [];
  answer = 'sent';
  store = new BulkStore(
    (step, told) => {
      if (answer === 'sent') sent.push({ step, told });
      return answer;
    },
    (text) => said.push(text),
  );
});

function made(changes: Partial<Device> & { id: string }): Device {
  return deviceWith({ id: changes.id }, changes);
}

function planFor(count: number): Plan {
  // Made of messages once: thousands would take seconds on a busy machine.
  const one = made({ id: '1' });
  const steps = Array.from({ length: count }, (_, index) => {
    const id = String(index + 1);
    return {
      device: { ...one, id, name: id },
      title: `Device ${id}`,
      topic: `device/${id}/command`,
      payload: '{"action":"start"}',
      act: { kind: 'custom' } as const,
    };
  });
  return { steps, unable: [] };
}

function tell(index: number, end: Ending): void {
  sent[index]?.told(end);
}

function counts(): Record<string, number> {
  vi.advanceTimersByTime(300);
  const all = store.snapshot()?.counts ?? new Map<string, number>();
  return Object.fromEntries([...all].filter(([, count]) => count > 0));
}

test('it sends at the rate that was chosen', () => {
  store.begin('Start', planFor(1_000), 50);
  vi.advanceTimersByTime(2_000);
  expect(Math.abs(sent.length - 100)).toBeLessThanOrEqual(3);
  expect(sent[0]?.step.topic).toBe('device/1/command');
});

test('whoever does not answer holds it back', () => {
  store.begin('Start', planFor(2_000), 1_000);
  vi.advanceTimersByTime(10_000);
  expect(sent).toHaveLength(PENDING_MAX);
  for (let index = 0; index < 100; index++) tell(index, { phase: 'confirmed', by: 'reply', tookMs: 5 });
  vi.advanceTimersByTime(1_000);
  expect(sent).toHaveLength(PENDING_MAX + 100);
});

test('each device has its result, and the end is told once', () => {
  store.begin('Start', planFor(3), 1_000);
  vi.advanceTimersByTime(200);
  tell(0, { phase: 'confirmed', by: 'reply', tookMs: 5 });
  tell(1, { phase: 'timed-out' });
  expect(counts()).toEqual({ confirmed: 1, 'timed-out': 1, pending: 1 });
  expect(store.snapshot()?.phase).toBe('settling');
  tell(2, { phase: 'confirmed', by: 'reply', tookMs: 7 });
  expect(counts()).toEqual({ confirmed: 2, 'timed-out': 1 });
  expect(store.snapshot()?.phase).toBe('done');
  expect(said).toEqual(['Start done: 2 of 3 devices confirmed it']);
});

test('an answer that comes after the time-out still counts', () => {
  store.begin('Start', planFor(1), 1_000);
  vi.advanceTimersByTime(100);
  tell(0, { phase: 'timed-out' });
  expect(counts()).toEqual({ 'timed-out': 1 });
  tell(0, { phase: 'confirmed', by: 'reply', tookMs: 6_000 });
  expect(counts()).toEqual({ confirmed: 1 });
});

test('a pause sends nothing more until it ends, and so does a lost connection', () => {
  store.begin('Start', planFor(1_000), 50);
  vi.advanceTimersByTime(1_000);
  store.pause();
  const before = sent.length;
  vi.advanceTimersByTime(5_000);
  expect(sent).toHaveLength(before);
  store.resume();
  vi.advanceTimersByTime(1_000);
  expect(sent.length).toBeGreaterThan(before + 40);
  store.handleDisconnected();
  vi.advanceTimersByTime(300);
  expect(store.snapshot()).toMatchObject({
    phase: 'paused',
    reason: 'the connection to the broker was lost',
  });
});

test('cancelled, it says what was not sent, and what was sent may still answer', () => {
  store.begin('Start', planFor(100), 50);
  vi.advanceTimersByTime(1_000);
  const before = sent.length;
  store.cancel();
  expect(counts()).toEqual({ pending: before, 'not-sent': 100 - before });
  tell(0, { phase: 'confirmed', by: 'reply', tookMs: 5 });
  expect(counts()).toEqual({ confirmed: 1, pending: before - 1, 'not-sent': 100 - before });
  vi.advanceTimersByTime(5_000);
  expect(sent).toHaveLength(before);
});

test.each(['busy', 'gone'] as const)('a device that is %s gets nothing, and the others do', (why) => {
  answer = why;
  store.begin('Start', planFor(2), 1_000);
  expect(counts()).toEqual({ [why]: 2 });
  expect(store.snapshot()?.phase).toBe('done');
});

test('there is one at a time', () => {
  store.begin('Start', planFor(5), 10);
  store.begin('Stop', planFor(1), 10);
  vi.advanceTimersByTime(100);
  expect(store.snapshot()?.name).toBe('Start');
  store.dismiss();
  expect(store.isBusy).toBe(true);
  store.cancel();
  store.dismiss();
  vi.advanceTimersByTime(300);
  expect(store.snapshot()).toBeUndefined();
});

test('the results are a table, and no cell of it is a formula', () => {
  const steps = planFor(3).steps.map((step) => ({
    ...step,
    device: { ...step.device, name: '=cmd()' },
  }));
  const unable = [{ device: made({ id: '9', name: 'nine' }), title: 'Device 9', why: 'has no “Start”' }];
  const csv = resultsCsv({
    steps,
    results: [
      { kind: 'confirmed', sentAt: 0, tookMs: 12 },
      { kind: 'rejected', sentAt: 0, error: '+not "now"' },
      { kind: 'waiting' },
    ],
    unable,
  });
  expect(csv.split('\r\n')).toEqual([
    'device,name,source,topic,payload,result,error,sent,took_ms',
    `1,'=cmd(),contract,device/1/command,"{""action"":""start""}",confirmed,,1970-01-01T00:00:00.000Z,12`,
    `2,'=cmd(),contract,device/2/command,"{""action"":""start""}",rejected,"'+not ""now""",1970-01-01T00:00:00.000Z,`,
    `3,'=cmd(),contract,device/3/command,"{""action"":""start""}",waiting,,,`,
    '9,nine,contract,,,not possible,has no “Start”,,',
    '',
  ]);
});
