import { expect, test } from 'vitest';

import { readPage } from './recording.ts';

test('messages are read as they would have been heard', () => {
  const page = readPage(
    {
      topic: 't',
      recordedSince: 5,
      messages: [
        { at: 10, qos: 1, retain: true, payload: 'é' },
        { at: 11, qos: 0, retain: false, payloadBase64: '/wD+', length: 70_000 },
      ],
      next: 12,
      recorded: false,
    },
    't',
  );
  expect(page).toEqual({
    recordedSince: 5,
    isRecorded: false,
    next: 12,
    messages: [
      { topic: 't', text: 'é', bytes: 2, retain: true, qos: 1, at: 10 },
      { topic: 't', text: '\uFFFD\0\uFFFD', bytes: 70_000, retain: false, qos: 0, at: 11 },
    ],
  });
});

test('where payloads are no text, their bytes are there', () => {
  const page = readPage({ messages: [{ at: 1, payloadBase64: '/w==' }] }, 'spBv1.0/g/DDATA/n/d');
  expect(page.messages[0]?.payload).toEqual(new Uint8Array([255]));
});

test('what is no message is left out, and what is no list is an error', () => {
  const messages = [null, 7, {}, { at: 'x', payload: '' }, { at: 1 }, { at: 1, payloadBase64: '!' }];
  expect(readPage({ messages }, 't')).toEqual({
    messages: [],
    next: undefined,
    recordedSince: undefined,
    isRecorded: true,
  });
  expect(() => readPage({ messages, error: 'the disk is gone' }, 't')).toThrow('the disk is gone');
  for (const answer of [undefined, null, [], { messages: 'x' }]) {
    expect(() => readPage(answer, 't')).toThrow('not a list of messages');
  }
});
