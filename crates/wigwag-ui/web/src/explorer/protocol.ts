/**
 * What the Explorer's page and its worker say to each other. The worker has the connection and the whole tree; the page
 * has the rows that are in view, the topics that are open, and nothing else.
 */
import type { Message } from '../message/message.ts';
import type { Credentials, LinkStatus } from '../mqtt/protocol.ts';

export type ToTree =
  /** `api` is the address of the broker's own interface, if it has one. */
  | {
      kind: 'connect';
      url: string;
      clientId: string;
      credentials: Credentials | undefined;
      api: string | undefined;
    }
  /** Where the tree comes from; another one begins with nothing. */
  | { kind: 'source'; source: Source }
  | { kind: 'retry' }
  /** Begins anew, with nothing: somebody else may read other topics. */
  /** As somebody else, all that was there is forgotten. */
  | { kind: 'login'; credentials: Credentials | undefined; isAnother: boolean }
  /** All of them, in the place of those before. */
  | { kind: 'filters'; filters: string[] }
  /** Which rows the page draws; with a count of 0 it draws none. */
  | { kind: 'window'; first: number; count: number }
  | { kind: 'walk'; step: Step }
  /** Opens or closes a branch, and puts the cursor there. */
  | { kind: 'toggle'; path: string }
  | { kind: 'cursor'; path: string }
  /** Where the cursor is, after all steps so far. */
  | { kind: 'where' }
  /** Opens all above the topic and puts the cursor on it. */
  | { kind: 'reveal'; path: string }
  | { kind: 'search'; search: Search | undefined }
  | { kind: 'order'; order: Order }
  | { kind: 'pause'; paused: boolean }
  | { kind: 'watch'; topic: string }
  | { kind: 'unwatch'; topic: string }
  | { kind: 'forget' }
  /** What clearing the retained messages at and below the path would do. */
  | { kind: 'survey'; path: string }
  | { kind: 'clear'; path: string }
  | { kind: 'cancel' }
  | { kind: 'undo' }
  | { kind: 'export'; id: number; path: string | undefined; format: ExportFormat };

export type FromTree =
  | { kind: 'status'; status: LinkStatus }
  | { kind: 'tree'; status: TreeStatus }
  | { kind: 'rows'; rows: Rows; stats: Stats }
  | { kind: 'here'; place: Place | undefined }
  /** Why the search cannot be made, if it cannot. */
  | { kind: 'searched'; problem: string | undefined }
  | { kind: 'topic'; change: TopicChange }
  | { kind: 'surveyed'; survey: Survey }
  | { kind: 'clearing'; clearing: Clearing | undefined }
  | { kind: 'exported'; id: number; text: string[]; topics: number };

/** The broker keeps the tree, or the worker grows one of what it subscribes to. */
export type Source = 'tree' | 'filters';

/** How it is with the tree that the broker keeps. */
export type TreeStatus =
  | { phase: 'connecting'; attempt: number }
  | { phase: 'live'; since: number }
  | { phase: 'waiting'; retryAt: number; reason: string };

/** The keys of a tree, by the habits of WAI-ARIA. */
export type Step =
  | { kind: 'by'; rows: number }
  | { kind: 'first' }
  | { kind: 'last' }
  /** Opens a branch, or goes to its first child. */
  | { kind: 'in' }
  /** Closes a branch, or goes to its parent. */
  | { kind: 'out' }
  | { kind: 'open-siblings' }
  /** To the next row whose name begins so. */
  | { kind: 'type'; text: string };

export interface Place {
  path: string;
  /** It has had messages. */
  isTopic: boolean;
}

export interface Rows {
  /** Index of the first of `rows` among `total`. */
  first: number;
  total: number;
  rows: Row[];
  cursor: { index: number; path: string } | undefined;
}

export interface Row {
  /** The levels down to here, joined by slashes: the topic itself, if it has had messages. */
  path: string;
  name: string;
  /** Counts from 1, like the position among its siblings. */
  level: number;
  setSize: number;
  position: number;
  /** Absent without children. */
  isOpen: boolean | undefined;
  /** Topics at and below that have had messages, and these. */
  topics: number;
  messages: number;
  /** Messages per second at and below, of the last few seconds. */
  rate: number;
  isRetained: boolean;
  /** The beginning of the latest payload; absent where there has been no message. */
  preview: string | undefined;
  at: number;
}

export interface Stats {
  messages: number;
  topics: number;
  /** Messages per second. */
  rate: number;
  keptBytes: number;
  /** Messages of topics that came after the tree was full. */
  beyond: number;
  /** Messages that the broker could not count, because they came too fast. */
  lost: number;
  /** Topics that the search has found, while there is one. */
  found: number | undefined;
  /** Topics that the search has not looked at yet. */
  unsearched: number;
  pause: PauseStats | undefined;
}

export interface PauseStats {
  held: number;
  heldBytes: number;
  /** Came when the buffer was full, and are counted only. */
  lost: number;
}

export interface TopicChange {
  topic: string;
  /** Those before it are no longer kept. */
  keptFrom: number;
  added: Message[];
  total: number;
}

/** How the branches of a branch are ordered. */
export type Order = 'name' | 'messages' | 'rate' | 'topics' | 'newest';

export type SearchKind = 'text' | 'filter' | 'regex';
export type SearchPlace = 'topic' | 'payload' | 'both';

export interface Search {
  text: string;
  kind: SearchKind;
  place: SearchPlace;
  matchCase: boolean;
}

export interface Survey {
  path: string;
  retained: number;
  /** Retained messages that are too large to have been kept whole, so that clearing them cannot be undone. */
  cut: number;
}

export type Clearing = {
  path: string;
  done: number;
  total: number;
  failed: number;
  /** Why the first one failed. */
  reason: string | undefined;
} & (
  | { phase: 'clearing' | 'restoring' }
  /** `undoUntil` is when the payloads are forgotten. */
  | { phase: 'cleared'; undoUntil: number; restorable: number }
  | { phase: 'restored'; skipped: number }
);

export type ExportFormat = 'json' | 'csv';

export const HISTORY_MAX = 100;
export const HISTORY_BYTES_MAX = 32 * 1024 * 1024;
export const LATEST_BYTES_MAX = 32 * 1024 * 1024;
export const TOPICS_MAX = 50_000;
export const LEVELS_MAX = 64;
/** Of all topics and branches together; those of the usual kind need a tenth of it. */
export const PATHS_CHARS_MAX = 32 * 1024 * 1024;
export const HELD_BYTES_MAX = 32 * 1024 * 1024;
