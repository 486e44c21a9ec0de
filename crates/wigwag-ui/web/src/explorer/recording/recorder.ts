/**
 * Recording, as the page sees it: one at a time, which goes on while other screens are looked at and is kept until it is
 * saved or given up.
 */
import { randomClientId } from '../../mqtt/connection.ts';
import type { LinkStatus } from '../../mqtt/protocol.ts';
import { FrameStore } from '../../ui/frame-store.ts';
import type { Home } from '../explorer.ts';
import type { FromRecorder, RecordingStats, ToRecorder } from './protocol.ts';

export interface RecorderPort {
  post: (message: ToRecorder) => void;
  listen: (listener: (message: FromRecorder) => void) => void;
  /** Ends the worker, and its connection with it. */
  end: () => void;
}

export type RecorderView =
  | { phase: 'idle' }
  | {
      phase: 'recording';
      filters: readonly string[];
      stats: RecordingStats;
      status: LinkStatus | undefined;
      /** How often the connection was lost: what came meanwhile is missing. */
      gaps: number;
    }
  | { phase: 'recorded'; filters: readonly string[]; stats: RecordingStats; lines: Blob; gaps: number };

const NOTHING: RecordingStats = { messages: 0, bytes: 0, isFull: false };

export function openRecordingWorker(): RecorderPort {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'recording' });
  return {
    post: (message) => {
      worker.postMessage(message);
    },
    listen: (listener) => {
      worker.addEventListener('message', (event: MessageEvent<FromRecorder>) => {
        listener(event.data);
      });
    },
    end: () => {
      worker.terminate();
    },
  };
}

export class Recorder extends FrameStore<RecorderView> {
  readonly #openPort: () => RecorderPort;
  readonly #home: Home;
  #port: RecorderPort | undefined;
  #view: RecorderView = { phase: 'idle' };

  constructor(openPort: () => RecorderPort, home: Home) {
    super();
    this.#openPort = openPort;
    this.#home = home;
  }

  /** Does nothing while there is one already. */
  start(filters: readonly string[]): void {
    if (this.#view.phase !== 'idle') return;
    const port = this.#openPort();
    this.#port = port;
    port.listen((message) => {
      if (this.#port === port) this.#handle(message);
    });
    this.#set({ phase: 'recording', filters, stats: NOTHING, status: undefined, gaps: 0 });
    const { url } = this.#home.snapshot();
    const { credentials } = this.#home;
    port.post({ kind: 'start', url, clientId: `${randomClientId()}-recorder`, credentials, filters });
  }

  stop(): void {
    this.#port?.post({ kind: 'stop' });
  }

  /** Gives up what is recorded. */
  discard(): void {
    this.#close();
    this.#set({ phase: 'idle' });
  }

  protected override view(): RecorderView {
    return this.#view;
  }

  #handle(message: FromRecorder): void {
    const view = this.#view;
    if (view.phase !== 'recording') return;
    switch (message.kind) {
      case 'status': {
        const isLost = view.status?.phase === 'connected' && message.status.phase !== 'connected';
        this.#set({ ...view, status: message.status, gaps: view.gaps + (isLost ? 1 : 0) });
        break;
      }
      case 'stats':
        this.#set({ ...view, stats: message.stats });
        break;
      case 'recorded': {
        const { filters, gaps } = view;
        this.#set({ phase: 'recorded', filters, stats: message.stats, lines: message.lines, gaps });
        this.#close();
        break;
      }
    }
  }

  #close(): void {
    this.#port?.end();
    this.#port = undefined;
  }

  #set(view: RecorderView): void {
    this.#view = view;
    this.changed();
  }
}
