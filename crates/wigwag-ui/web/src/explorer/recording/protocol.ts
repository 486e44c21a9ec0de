/** What the page and the worker that records say to each other. The worker has the connection and all that has come. */
import type { Credentials, LinkStatus } from '../../mqtt/protocol.ts';

export type ToRecorder =
  | {
      kind: 'start';
      url: string;
      clientId: string;
      credentials: Credentials | undefined;
      filters: readonly string[];
    }
  | { kind: 'stop' };

export type FromRecorder =
  | { kind: 'status'; status: LinkStatus }
  | { kind: 'stats'; stats: RecordingStats }
  /** The end, because it was stopped or because it is full. */
  | { kind: 'recorded'; stats: RecordingStats; lines: Blob };

export interface RecordingStats {
  messages: number;
  /** Of the lines, as they will be in the file. */
  bytes: number;
  isFull: boolean;
}

export const RECORDED_BYTES_MAX = 64 * 1024 * 1024;
