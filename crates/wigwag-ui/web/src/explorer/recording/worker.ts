/**
 * Entry of the worker that records. A connection of its own, so that a recording has what a subscriber would have got,
 * whatever the tree shows; it ends with the worker.
 */
import type { Message } from '../../message/message.ts';
import { messageOf } from '../../message/message.ts';
import { openWith } from '../../mqtt/client.ts';
import { Link } from '../../mqtt/link.ts';
import { RecordingDesk } from './desk.ts';
import type { FromRecorder, ToRecorder } from './protocol.ts';

interface WorkerScope {
  postMessage: (message: FromRecorder) => void;
  addEventListener: ((type: 'message', listener: (event: MessageEvent<ToRecorder>) => void) => void) &
    ((type: 'online', listener: () => void) => void);
}

const scope = globalThis as unknown as WorkerScope;
const desk = new RecordingDesk(
  (message) => {
    scope.postMessage(message);
  },
  (message) => {
    link.handle(message);
  },
);
const link = new Link<Message>(
  openWith({
    subscribe: { qos: 2, rap: true },
    read: (packet, payload) => messageOf(packet, payload, 0, Date.now(), Infinity),
  }),
  (message) => {
    desk.handleLink(message);
  },
  desk,
);

scope.addEventListener('message', (event) => {
  desk.handle(event.data);
});
scope.addEventListener('online', () => {
  link.retryNow();
});
