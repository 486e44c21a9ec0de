/** Entry of the Explorer's worker: a connection of its own, so that a flood of messages holds up nobody's commands. */
import type { Message } from '../message/message.ts';
import { messageOf } from '../message/message.ts';
import { openWith } from '../mqtt/client.ts';
import { Link } from '../mqtt/link.ts';
import type { PublishOutcome } from '../mqtt/protocol.ts';
import type { FromTree, ToTree } from './protocol.ts';
import { Desk } from './tree/desk.ts';

interface WorkerScope {
  postMessage: (message: FromTree) => void;
  addEventListener: ((type: 'message', listener: (event: MessageEvent<ToTree>) => void) => void) &
    ((type: 'online', listener: () => void) => void);
}

const scope = globalThis as unknown as WorkerScope;
const desk = new Desk(
  (message) => {
    scope.postMessage(message);
  },
  (message): Promise<PublishOutcome> => link.publish(message),
);
const link = new Link<Message>(
  openWith({
    // With the QoS and the RETAIN flag that the publisher has given; Retain Handling sends what is retained.
    subscribe: { qos: 2, rap: true },
    // The tree counts the messages of each topic and numbers them.
    read: (packet, payload) => messageOf(packet, payload, 0, Date.now()),
  }),
  (message) => {
    if (message.kind === 'status') scope.postMessage(message);
  },
  desk,
);
let filters: string[] = [];

function setFilters(wanted: string[]): void {
  for (const filter of filters) if (!wanted.includes(filter)) link.handle({ kind: 'unsubscribe', filter });
  for (const filter of wanted) if (!filters.includes(filter)) link.handle({ kind: 'subscribe', filter });
  filters = wanted;
}

function handle(message: ToTree): void {
  if (message.kind === 'connect') {
    desk.handle({ kind: 'forget' });
    if (message.credentials !== undefined) link.handle({ kind: 'login', credentials: message.credentials });
    link.handle({ kind: 'connect', url: message.url, clientId: message.clientId, filters: [] });
  } else if (message.kind === 'login' || message.kind === 'retry') {
    link.handle(message);
  } else if (message.kind === 'filters') {
    setFilters(message.filters);
  } else {
    desk.handle(message);
  }
}

scope.addEventListener('message', (event) => {
  handle(event.data);
});
scope.addEventListener('online', () => {
  link.retryNow();
});
