/** Entry of the worker: ties {@link Link} to mqtt.js on one side and to the page on the other. */
import { Batch } from './batch.ts';
import { openClient } from './client.ts';
import { Link } from './link.ts';
import type { FromWorker, ToWorker } from './protocol.ts';

/** The part of a worker's global scope that is used here; the library of window types has no name for it. */
interface WorkerScope {
  postMessage: (message: FromWorker) => void;
  addEventListener: ((type: 'message', listener: (event: MessageEvent<ToWorker>) => void) => void) &
    ((type: 'online', listener: () => void) => void);
}

const scope = globalThis as unknown as WorkerScope;
const post = (message: FromWorker): void => {
  scope.postMessage(message);
};
const batch = new Batch(post);
const link = new Link(openClient, post, batch);

scope.addEventListener('message', (event) => {
  if (event.data.kind === 'handled') batch.handleHandled();
  else link.handle(event.data);
});
scope.addEventListener('online', () => {
  link.retryNow();
});
