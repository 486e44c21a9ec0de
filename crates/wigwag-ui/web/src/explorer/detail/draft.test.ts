import { describe, expect, test } from 'vitest';

import { message } from '../../message/testing.ts';
import type { Draft, Problems } from './draft.ts';
import { draftOf, EMPTY, FILE_BYTES_MAX, readDraft, readFile } from './draft.ts';

function read(change: Partial<Draft>) {
  return readDraft({ ...EMPTY, topic: 't', ...change });
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

test('every field becomes part of the message', () => {
  expect(
    read({
      payload: 'grün',
      qos: 2,
      retain: true,
      contentType: 'text/plain',
      responseTopic: 'r',
      correlation: '0x0AfF',
      expiry: '60',
      isUtf8: true,
      userProperties: [
        { name: 'a', value: '1' },
        { name: 'a', value: '' },
      ],
    }),
  ).toEqual({
    message: {
      topic: 't',
      payload: bytes('grün'),
      qos: 2,
      retain: true,
      properties: {
        payloadFormatIndicator: 1,
        contentType: 'text/plain',
        responseTopic: 'r',
        correlationData: Uint8Array.of(10, 255),
        messageExpiryInterval: 60,
        userProperties: [
          ['a', '1'],
          ['a', ''],
        ],
      },
    },
  });
});

test('what is empty is not sent', () => {
  expect(read({})).toEqual({
    message: { topic: 't', payload: new Uint8Array(0), qos: 0, retain: false, properties: {} },
  });
});

test.each<[Draft['format'], string, number[]]>([
  ['json', '{"a": 1}', [...bytes('{"a": 1}')]],
  ['hex', '00 ff\n10', [0, 255, 16]],
  ['base64', 'AP8Q', [0, 255, 16]],
])('a payload in %s', (format, payload, expected) => {
  const result = read({ format, payload });
  expect('message' in result && [...(result.message.payload as Uint8Array)]).toEqual(expected);
});

describe('what is wrong is said at its field', () => {
  test.each<[field: keyof Problems, change: Partial<Draft>, problem: RegExp]>([
    ['topic', { topic: '' }, /at least one character/],
    ['topic', { topic: 'a/+/b' }, /wildcard/],
    ['topic', { topic: 'a\0' }, /U\+0000/],
    ['topic', { topic: 'ü'.repeat(40_000) }, /65,535 bytes/],
    ['payload', { format: 'json', payload: '{' }, /not JSON/],
    ['payload', { format: 'hex', payload: '0' }, /pairs/],
    ['payload', { format: 'base64', payload: '!' }, /not Base64/],
    ['payload', { format: 'hex', payload: 'ff', isUtf8: true }, /not UTF-8/],
    ['responseTopic', { responseTopic: '#' }, /wildcard/],
    ['correlation', { correlation: '0x0' }, /pairs/],
    ['expiry', { expiry: '-1' }, /from 0 to 4294967295/],
    ['expiry', { expiry: '4294967296' }, /from 0 to 4294967295/],
    ['userProperties', { userProperties: [{ name: 'a', value: '\0' }] }, /U\+0000/],
  ])('%s', (field, change, problem) => {
    const result = read(change);
    expect('problems' in result && Object.keys(result.problems)).toEqual([field]);
    expect('problems' in result && result.problems[field]).toMatch(problem);
  });
});

test.each([
  ['text', bytes('on')],
  ['bytes', Uint8Array.of(255, 0)],
])('a message of %s can be sent again as it was', (_, payload) => {
  const properties = {
    payloadFormatIndicator: 1,
    contentType: 'c',
    responseTopic: 'r',
    correlationData: payload,
    messageExpiryInterval: 5,
    userProperties: [['n', 'v']],
  } as const;
  const binary = payload[0] === 255;
  const sent = { ...properties, ...(binary ? { payloadFormatIndicator: 0 as const } : {}) };
  const draft = draftOf(message(payload, { topic: 'a', qos: 1, retain: true, properties: sent }));
  const expected: Record<string, unknown> = { ...properties };
  if (binary) delete expected.payloadFormatIndicator;
  expect(readDraft(draft)).toEqual({
    message: { topic: 'a', payload, qos: 1, retain: true, properties: expected },
  });
});

describe('a file', () => {
  test('is the payload, whatever is typed beside it', async () => {
    const file = await readFile(new File([new Uint8Array([0xff, 0])], 'a.bin'));
    if ('problem' in file) throw new Error(file.problem);
    expect(read({ payload: 'typed', file })).toMatchObject({
      message: { payload: new Uint8Array([0xff, 0]) },
    });
    expect(read({ file, isUtf8: true })).toMatchObject({
      problems: { payload: expect.stringContaining('not UTF-8') as string },
    });
  });

  test('has a bound', async () => {
    const large = new File([], 'large');
    Object.defineProperty(large, 'size', { value: FILE_BYTES_MAX + 1 });
    expect(await readFile(large)).toEqual({
      problem: 'This file has 16.0 MiB; at most 16.0 MiB are sent from here.',
    });
  });
});
