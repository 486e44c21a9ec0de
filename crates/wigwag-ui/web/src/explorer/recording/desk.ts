/** The worker's half of recording: a connection for as long as it lasts, and word of how it goes a few times a second. */
import type { Message } from '../../message/message.ts';
import type { FromWorker, ToLink } from '../../mqtt/protocol.ts';
import type { FromRecorder, ToRecorder } from './protocol.ts';
import { Recording } from './recording.ts';

export const TELL_EVERY_MS = 250;

export class RecordingDesk {
  readonly #post: (message: FromRecorder) => void;
  readonly #link: (message: ToLink) => void;
  readonly #recording: Recording;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(
    post: (message: FromRecorder) => void,
    link: (message: ToLink) => void,
    recording = new Recording(),
  ) {
    this.#post = post;
    this.#link = link;
    this.#recording = recording;
  }

  handle(message: ToRecorder): void {
    if (message.kind === 'stop') {
      this.#end();
      return;
    }
    const { url, clientId, credentials, filters } = message;
    if (credentials !== undefined) this.#link({ kind: 'login', credentials });
    this.#link({ kind: 'connect', url, clientId, filters: [...filters] });
  }

  handleLink(message: FromWorker): void {
    if (message.kind === 'status' && !this.#isOver) this.#post(message);
  }

  add(message: Message): void {
    if (this.#isOver) return;
    this.#recording.add(message);
    if (this.#recording.stats.isFull) this.#end();
    else
      this.#timer ??= setTimeout(() => {
        this.flush();
      }, TELL_EVERY_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#isOver) this.#post({ kind: 'stats', stats: this.#recording.stats });
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#post({ kind: 'recorded', stats: this.#recording.stats, lines: this.#recording.lines() });
  }
}
