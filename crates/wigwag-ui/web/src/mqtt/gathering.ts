/**
 * Gathers what is written to a socket in one go. Each packet by itself is a frame of its own, which costs the worker, the
 * browser and the broker far more than its four bytes: there is one of them for each message of QoS 1 that comes.
 */

/** Enough for a thousand acknowledgements. What is larger goes on at once, so that the socket knows what waits in it. */
export const GATHERED_BYTES_MAX = 4 * 1024;

type Socket = Pick<WebSocket, 'send' | 'close'>;

/** For mqtt.js, which writes packet by packet, always bytes, and knows of nothing but `send` and `close`. */
export function gatherWrites(socket: Socket): void {
  const close = socket.close.bind(socket);
  const gathering = new Gathering(socket.send.bind(socket));
  socket.send = (bytes) => {
    gathering.add(bytes as Uint8Array);
  };
  socket.close = (code, reason) => {
    gathering.flush();
    close(code, reason);
  };
}

class Gathering {
  readonly #send: (bytes: Uint8Array<ArrayBuffer>) => void;
  #waiting: Uint8Array[] = [];
  #bytes = 0;

  constructor(send: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#send = send;
  }

  add(bytes: Uint8Array): void {
    // At the end of what is being done now, and not after a while: nobody waits for it.
    if (this.#waiting.length === 0) {
      queueMicrotask(() => {
        this.flush();
      });
    }
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= GATHERED_BYTES_MAX) this.flush();
  }

  flush(): void {
    if (this.#waiting.length === 0) return;
    const all = new Uint8Array(this.#bytes);
    let end = 0;
    for (const bytes of this.#waiting) {
      all.set(bytes, end);
      end += bytes.length;
    }
    this.#waiting = [];
    this.#bytes = 0;
    this.#send(all);
  }
}
