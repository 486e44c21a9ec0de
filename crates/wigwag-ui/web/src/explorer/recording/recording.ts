/** The lines of a recording, up to a bound. Reads no clock and has no connection. */
import type { Message } from '../../message/message.ts';
import { lineOf } from './line.ts';
import type { RecordingStats } from './protocol.ts';
import { RECORDED_BYTES_MAX } from './protocol.ts';

/** So many go into a piece that the browser may keep where it likes. */
const PIECE_BYTES = 1024 * 1024;

const utf8 = new TextEncoder();

export class Recording {
  readonly #bytesMax: number;
  readonly #pieces: Blob[] = [];
  #lines: Uint8Array<ArrayBuffer>[] = [];
  #lineBytes = 0;
  #messages = 0;
  #bytes = 0;
  #isFull = false;

  constructor(bytesMax = RECORDED_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  get stats(): RecordingStats {
    return { messages: this.#messages, bytes: this.#bytes, isFull: this.#isFull };
  }

  /** The first one that has no room ends it: a recording with holes would play something that never was. */
  add(message: Message): void {
    if (this.#isFull) return;
    const line = utf8.encode(lineOf(message));
    if (this.#bytes + line.length > this.#bytesMax) {
      this.#isFull = true;
      return;
    }
    this.#lines.push(line);
    this.#lineBytes += line.length;
    this.#bytes += line.length;
    this.#messages += 1;
    if (this.#lineBytes >= PIECE_BYTES) this.#pack();
  }

  lines(): Blob {
    this.#pack();
    return new Blob(this.#pieces, { type: 'application/jsonl' });
  }

  #pack(): void {
    this.#pieces.push(new Blob(this.#lines));
    this.#lines = [];
    this.#lineBytes = 0;
  }
}
