import { expect, test } from 'vitest';

import { messageOf, PAYLOAD_BYTES_MAX } from './message.ts';

const PACKET = { cmd: 'publish', topic: 't', payload: '', qos: 1, retain: true, dup: false } as const;

test('all properties are kept', () => {
  const properties = {
    payloadFormatIndicator: true,
    messageExpiryInterval: 60,
    contentType: 'text/plain',
    responseTopic: 'r',
    correlationData: Buffer.from([1, 2]),
    userProperties: { a: ['1', '2'], b: '3' },
    subscriptionIdentifier: 7,
  };
  expect(messageOf({ ...PACKET, properties }, Uint8Array.of(65), 3, 9)).toEqual({
    seq: 3,
    topic: 't',
    payload: Uint8Array.of(65),
    bytes: 1,
    retain: true,
    qos: 1,
    at: 9,
    properties: {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 60,
      contentType: 'text/plain',
      responseTopic: 'r',
      correlationData: Uint8Array.of(1, 2),
      userProperties: [
        ['a', '1'],
        ['a', '2'],
        ['b', '3'],
      ],
      subscriptionIdentifiers: [7],
    },
  });
});

test('of a large payload the beginning is kept, in memory of its own', () => {
  const buffer = new Uint8Array(PAYLOAD_BYTES_MAX + 10);
  const { payload, bytes, properties } = messageOf(PACKET, buffer.subarray(5), 1, 0);
  expect(payload).toHaveLength(PAYLOAD_BYTES_MAX);
  expect(payload.buffer.byteLength).toBe(PAYLOAD_BYTES_MAX);
  expect(bytes).toBe(PAYLOAD_BYTES_MAX + 5);
  expect(properties).toEqual({});
});
