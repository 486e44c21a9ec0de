import { describe, expect, test } from 'vitest';

import { parsePresence, parseReply, parseState, parseTopic } from './contract.ts';

const GOOD = { deviceId: '1', status: 'running', temperature: 37.5, timestamp: 1705580400 };

describe('parseTopic', () => {
  test.each([
    ['device/1/state', { kind: 'state', id: '1' }],
    ['device/a b%/online', { kind: 'online', id: 'a b%' }],
    ['device//state', undefined],
    ['device/1/command', undefined],
    ['device/1/2/state', undefined],
    ['other/1/state', undefined],
    ['', undefined],
  ])('%s', (topic, expected) => {
    expect(parseTopic(topic)).toEqual(expected);
  });
});

describe('parseState', () => {
  const parse = (value: unknown, text = JSON.stringify(value)) => parseState('1', text, text.length);

  test('reads a state, and keeps what it does not know', () => {
    const object = { ...GOOD, firmware: '2.1' };
    const expected = { status: 'running', temperature: 37.5, timestamp: 1705580400, object };
    expect(parse(object)).toEqual({ value: expected });
  });

  test.each([
    ['status is "paused"; allowed: "idle", "running"', { ...GOOD, status: 'paused' }],
    ['status is missing; allowed: "idle", "running"', { ...GOOD, status: undefined }],
    ['deviceId is "2", the topic says "1"', { ...GOOD, deviceId: '2' }],
    ['deviceId is 1, the topic says "1"', { ...GOOD, deviceId: 1 }],
    ['temperature is "37.5", not a number', { ...GOOD, temperature: '37.5' }],
    ['temperature is null, not a number', { ...GOOD, temperature: NaN }],
    ['timestamp is 1705580400000, not seconds since 1970', { ...GOOD, timestamp: 1705580400000 }],
    ['timestamp is -1, not seconds since 1970', { ...GOOD, timestamp: -1 }],
    ['the payload is null, not a JSON object', null],
    ['the payload is [1], not a JSON object', [1]],
    ['the payload is "text", not a JSON object', 'text'],
  ])('says: %s', (problem, value) => {
    expect(parse(value)).toEqual({ problem });
  });

  test.each([
    ['the payload is not JSON', '{"deviceId":"1"'],
    ['the payload is empty', ''],
    ['temperature is null, not a number', JSON.stringify(GOOD).replace('37.5', '1e999')],
  ])('says of text: %s', (problem, text) => {
    expect(parse(undefined, text)).toEqual({ problem });
  });

  test('does not even parse what is far too large', () => {
    expect(parseState('1', JSON.stringify(GOOD), 300_000)).toEqual({
      problem: '300000 bytes are too many for a state (at most 4096)',
    });
  });

  test('quotes a stranger only briefly', () => {
    const parsed = parse({ ...GOOD, status: 'x'.repeat(3_000) });
    expect('problem' in parsed && parsed.problem.length).toBeLessThan(100);
  });

  test('survives a key that means something to JavaScript', () => {
    expect(parse(undefined, '{"__proto__":{"deviceId":"1"}}')).toHaveProperty('problem');
  });
});

describe('parsePresence', () => {
  test('knows true and false and nothing else', () => {
    expect(parsePresence('true')).toEqual({ value: true });
    expect(parsePresence('false')).toEqual({ value: false });
    expect(parsePresence('1')).toEqual({ problem: 'presence is "1"; allowed: true, false' });
  });
});

describe('parseReply', () => {
  test.each([
    [
      { deviceId: '1', ok: true, status: 'idle' },
      { ok: true, status: 'idle' },
    ],
    [
      { deviceId: '1', ok: false, error: 'no' },
      { ok: false, error: 'no' },
    ],
    [
      { deviceId: '1', ok: false },
      { ok: false, error: 'the device gave no reason' },
    ],
  ])('reads %j', (value, result) => {
    expect(parseReply(JSON.stringify(value))).toEqual({ value: { deviceId: '1', result } });
  });

  test.each([
    { ok: true, status: 'idle' },
    { deviceId: '1', ok: 'yes' },
    { deviceId: '1', ok: true },
  ])('refuses %j', (value) => {
    expect(parseReply(JSON.stringify(value))).toHaveProperty('problem');
  });
});
