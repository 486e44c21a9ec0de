import { expect, test } from 'vitest';

import { readClients } from './client-facts.ts';

const TOLD = {
  id: 'press-1',
  user: 'ann',
  address: '10.0.0.7:50122',
  listener: '1883',
  isBridge: false,
  connection: { protocol: '5.0', keepAlive: 60, unread: 12 },
  since: 1_000,
  expiry: null,
  endsAt: null,
  subscriptions: [{ filter: 'a/#', qos: 1 }, { filter: 7 }, null],
  subscriptionsBeyond: 3,
  queued: 1,
  inFlight: 2,
  unreleased: 0,
  bytes: 99,
  dropped: 4,
  willTopic: 'device/1/online',
};

test('all that is told of a client is read', () => {
  expect(readClients({ clients: [TOLD], beyond: 2 })).toEqual({
    beyond: 2,
    clients: [
      {
        id: 'press-1',
        user: 'ann',
        address: '10.0.0.7:50122',
        listener: '1883',
        isBridge: false,
        connection: { protocol: '5.0', keepAliveSecs: 60, unreadBytes: 12 },
        since: 1_000,
        expirySecs: undefined,
        endsAt: undefined,
        subscriptions: [{ filter: 'a/#', qos: 1 }],
        subscriptionsBeyond: 3,
        queued: 1,
        inFlight: 2,
        bytes: 99,
        dropped: 4,
        willTopic: 'device/1/online',
      },
    ],
  });
});

test('who is away has no connection', () => {
  const [client] = readClients({ clients: [{ ...TOLD, connection: null, since: null }] }).clients;
  expect([client?.connection, client?.since]).toEqual([undefined, undefined]);
});

test('what is no client is left out, and what is no list is an error', () => {
  expect(readClients({ clients: [null, 7, {}, { id: 7 }] })).toEqual({ clients: [], beyond: 0 });
  for (const answer of [undefined, [], {}, { clients: {} }]) {
    expect(() => readClients(answer)).toThrow('not a list of clients');
  }
});
