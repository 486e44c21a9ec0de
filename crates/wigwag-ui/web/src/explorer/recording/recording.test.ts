import { describe, expect, test, vi } from 'vitest';

import { hex, message } from '../../message/testing.ts';
import type { ToLink } from '../../mqtt/protocol.ts';
import { RecordingDesk, TELL_EVERY_MS } from './desk.ts';
import { lineOf } from './line.ts';
import type { FromRecorder } from './protocol.ts';
import { Recording } from './recording.ts';

const AT = Date.UTC(2026, 10, 23, 9, 51, 32, 359);

describe('a line', () => {
  test('is that of wigwag record', () => {
    expect(lineOf(message('21.5 "C"\n', { topic: 'a/b', qos: 1, retain: true, at: AT }))).toBe(
      '{"time":"2026-11-23T09:51:32.359Z","topic":"a/b","qos":1,"retain":true,"payload":"21.5 \\"C\\"\\n"}\n',
    );
    expect(lineOf(message(hex('ff'), { at: AT }))).toContain('"retain":false,"payload_base64":"/w=="}');
    expect(lineOf(message('', { at: AT }))).toContain('"payload":""}');
  });

  test('has all properties, in the names and the order of wigwag record', () => {
    const properties = {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 9,
      contentType: 't',
      responseTopic: 're',
      correlationData: hex('fe'),
      subscriptionIdentifiers: [7, 8],
      userProperties: [
        ['k', 'v'],
        ['k', 'w'],
      ],
    } as const;
    expect(lineOf(message('x', { at: AT, properties }))).toContain(
      '"properties":{"payload_format_indicator":1,"message_expiry_interval":9,"content_type":"t",' +
        '"response_topic":"re","correlation_data_base64":"/g==","subscription_identifiers":[7,8],' +
        '"user_properties":[["k","v"],["k","w"]]}}',
    );
  });

  test('keeps a mark of byte order, which is part of the payload', () => {
    expect(lineOf(message(hex('efbbbf61'), { at: AT }))).toContain('"payload":"\ufeffa"');
  });
});

describe('a recording', () => {
  test('has the lines in their order', async () => {
    const recording = new Recording();
    for (let count = 0; count < 5_000; count++)
      recording.add(message('x'.repeat(400), { topic: `t/${count}` }));
    const lines = (await recording.lines().text()).trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { topic: string }).topic)).toEqual(
      Array.from({ length: 5_000 }, (_, count) => `t/${count}`),
    );
    expect(recording.stats).toMatchObject({ messages: 5_000, bytes: recording.lines().size, isFull: false });
  });

  test('ends with the message before the first that has no room', async () => {
    const recording = new Recording(250);
    recording.add(message('one'));
    recording.add(message('x'.repeat(200)));
    recording.add(message('three'));
    expect(recording.stats).toMatchObject({ messages: 1, isFull: true });
    expect((await recording.lines().text()).split('\n')).toHaveLength(2);
  });
});

describe('the worker', () => {
  const begin = (bytesMax?: number) => {
    vi.useFakeTimers();
    const posted: FromRecorder[] = [];
    const asked: ToLink[] = [];
    const desk = new RecordingDesk(
      (one) => posted.push(one),
      (one) => asked.push(one),
      new Recording(bytesMax),
    );
    const credentials = { userName: 'joe', password: 'p' };
    desk.handle({ kind: 'start', url: 'ws://b', clientId: 'c', credentials, filters: ['a/#'] });
    return { desk, posted, asked };
  };

  test('connects as the same user, to what is to be recorded', () => {
    const { asked } = begin();
    expect(asked).toEqual([
      { kind: 'login', credentials: { userName: 'joe', password: 'p' } },
      { kind: 'connect', url: 'ws://b', clientId: 'c', filters: ['a/#'] },
    ]);
  });

  test('tells of many messages at once, and hands over everything at the end', async () => {
    const { desk, posted } = begin();
    for (let count = 0; count < 1_000; count++) desk.add(message('x'));
    vi.advanceTimersByTime(TELL_EVERY_MS);
    expect(posted).toMatchObject([{ kind: 'stats', stats: { messages: 1_000 } }]);
    desk.handle({ kind: 'stop' });
    desk.add(message('late'));
    vi.advanceTimersByTime(TELL_EVERY_MS);
    expect(posted).toHaveLength(2);
    const last = posted.at(-1);
    const text = last?.kind === 'recorded' ? await last.lines.text() : '';
    expect(text.trimEnd().split('\n')).toHaveLength(1_000);
  });

  test('ends by itself when it is full', () => {
    const { desk, posted } = begin(300);
    for (let count = 0; count < 10; count++) desk.add(message('x'));
    expect(posted).toMatchObject([{ kind: 'recorded', stats: { messages: 3, isFull: true } }]);
  });
});
