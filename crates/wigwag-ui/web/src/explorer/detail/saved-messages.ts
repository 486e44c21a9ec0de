/**
 * Messages that are kept to be sent again, by name and in collections: in this browser's storage, and as JSON in files
 * that others may have written. What cannot be understood is left out, with a word of why.
 */
import { create } from 'zustand';
import { persist } from 'zustand/middleware';

import { base64Of } from '../../message/hex.ts';
import { formatBytes } from '../../ui/format.ts';
import type { Draft, WrittenDraft } from './draft.ts';
import { BLANK, FORMATS, USER_PROPERTIES_MAX } from './draft.ts';

export interface SavedMessage {
  /** Empty for those in none. */
  collection: string;
  name: string;
  draft: WrittenDraft;
}

interface SavedMessages {
  messages: readonly SavedMessage[];
  /** Takes the place of one with the same name in the same collection; says why if it cannot. */
  save: (message: SavedMessage) => string | undefined;
  remove: (collection: string, name: string) => void;
  take: (json: string) => Taken;
}

export interface Taken {
  added: number;
  replaced: number;
  /** What was left out, and why. */
  problems: readonly string[];
}

export const SAVED_MAX = 500;
/** Storage of a browser is for the page as a whole, and of a few MiB. */
export const SAVED_CHARS_MAX = 1024 * 1024;
export const NAME_CHARS_MAX = 80;
/** A payload from a file is kept with the message up to this size. */
export const FILE_KEPT_BYTES_MAX = 64 * 1024;

export const useSavedMessages = create<SavedMessages>()(
  persist(
    (set, get) => ({
      messages: [],
      save: (message) => {
        const messages = withMessage(get().messages, message);
        const problem = boundProblem(messages);
        if (problem === undefined) set({ messages });
        return problem;
      },
      remove: (collection, name) => {
        set(({ messages }) => ({ messages: messages.filter((one) => !isNamed(one, collection, name)) }));
      },
      take: (json) => {
        const { messages: all, taken } = merged(get().messages, readFile(json));
        set({ messages: all });
        return taken;
      },
    }),
    {
      name: 'wigwag.messages',
      version: 1,
      partialize: ({ messages }) => ({ messages }),
      merge: (kept, current) => ({ ...current, messages: readMessages(membersOf(kept).messages).messages }),
    },
  ),
);

/** As JSON for a file; those of one collection, or all. */
export function exported(messages: readonly SavedMessage[], collection: string): string {
  const wanted = collection === '' ? messages : messages.filter((one) => one.collection === collection);
  const file = wanted.map(({ collection: of, name, draft }) => ({ collection: of, name, ...draft }));
  return `${JSON.stringify({ wigwag: 'messages', version: 1, messages: file }, undefined, 2)}\n`;
}

/** What can be kept of a draft, or why nothing can. */
export function keepable({ file, ...draft }: Draft): WrittenDraft | { problem: string } {
  if (file === undefined) return draft;
  if (file.bytes.length > FILE_KEPT_BYTES_MAX) {
    return { problem: `Of a file, at most ${formatBytes(FILE_KEPT_BYTES_MAX)} are kept with a message.` };
  }
  return { ...draft, format: 'base64', payload: base64Of(file.bytes) };
}

export function isNamed(message: SavedMessage, collection: string, name: string): boolean {
  return message.collection === collection && message.name === name;
}

function withMessage(messages: readonly SavedMessage[], message: SavedMessage): SavedMessage[] {
  const others = messages.filter((one) => !isNamed(one, message.collection, message.name));
  return [...others, message].sort(byName);
}

function byName(left: SavedMessage, right: SavedMessage): number {
  return left.collection.localeCompare(right.collection) || left.name.localeCompare(right.name);
}

function boundProblem(messages: readonly SavedMessage[]): string | undefined {
  if (messages.length > SAVED_MAX) return `At most ${SAVED_MAX} messages are kept.`;
  if (messages.reduce((sum, message) => sum + charsOf(message), 0) > SAVED_CHARS_MAX) {
    return `At most ${formatBytes(SAVED_CHARS_MAX)} of messages are kept.`;
  }
  return undefined;
}

const sizes = new WeakMap<SavedMessage, number>();

/** As JSON. */
function charsOf(message: SavedMessage): number {
  let chars = sizes.get(message);
  if (chars === undefined) {
    chars = JSON.stringify(message).length;
    sizes.set(message, chars);
  }
  return chars;
}

interface Read {
  messages: SavedMessage[];
  problems: string[];
}

function merged(present: readonly SavedMessage[], read: Read): { messages: SavedMessage[]; taken: Taken } {
  let messages = [...present];
  let replaced = 0;
  const problems = [...read.problems];
  for (const message of read.messages) {
    const isKnown = messages.some((one) => isNamed(one, message.collection, message.name));
    const more = withMessage(messages, message);
    const problem = boundProblem(more);
    if (problem !== undefined) {
      problems.push(`${titleOf(message)}: ${problem}`);
      continue;
    }
    messages = more;
    if (isKnown) replaced += 1;
  }
  return { messages, taken: { added: messages.length - present.length, replaced, problems } };
}

function readFile(json: string): Read {
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch (error) {
    return { messages: [], problems: [`The file is not JSON: ${String(error)}`] };
  }
  const { wigwag, version, messages } = membersOf(file);
  if (wigwag !== 'messages' || version !== 1) {
    return {
      messages: [],
      problems: ['The file has no saved messages: "wigwag": "messages", "version": 1 is missing.'],
    };
  }
  return readMessages(messages, (item) => ({ ...membersOf(item), draft: item }));
}

function readMessages(items: unknown, shape: (item: unknown) => unknown = (item) => item): Read {
  const read: Read = { messages: [], problems: [] };
  if (!Array.isArray(items)) return { messages: [], problems: ['"messages" is no list.'] };
  for (const [index, item] of items.slice(0, SAVED_MAX).entries()) {
    const message = readMessage(shape(item));
    if (typeof message === 'string') read.problems.push(`Message ${index + 1}: ${message}`);
    else read.messages.push(message);
  }
  const beyond = items.length - SAVED_MAX;
  if (beyond > 0) read.problems.push(`${beyond} further messages are beyond the ${SAVED_MAX} that are kept.`);
  return read;
}

/** The message, or what is wrong with it. */
function readMessage(item: unknown): SavedMessage | string {
  const { collection = '', name, draft } = membersOf(item);
  if (!isText(name, NAME_CHARS_MAX) || name.trim() === '') return '"name" is no text of 1 to 80 characters.';
  if (!isText(collection, NAME_CHARS_MAX)) return '"collection" is no text of up to 80 characters.';
  const read = readDraft(membersOf(draft));
  return typeof read === 'string' ? read : { collection, name, draft: read };
}

const TEXTS = ['topic', 'payload', 'contentType', 'responseTopic', 'correlation', 'expiry'] as const;

function readDraft(members: Record<string, unknown>): WrittenDraft | string {
  const {
    format = BLANK.format,
    qos = BLANK.qos,
    retain = false,
    isUtf8 = false,
    userProperties = [],
  } = members;
  const draft = { ...BLANK };
  for (const name of TEXTS) {
    const text = members[name] ?? '';
    if (!isText(text, SAVED_CHARS_MAX)) return `"${name}" is no text.`;
    draft[name] = text;
  }
  if (typeof format !== 'string' || !Object.hasOwn(FORMATS, format)) {
    return `"format" is none of ${Object.keys(FORMATS).join(', ')}.`;
  }
  if (qos !== 0 && qos !== 1 && qos !== 2) return '"qos" is neither 0 nor 1 nor 2.';
  if (typeof retain !== 'boolean') return '"retain" is neither true nor false.';
  if (typeof isUtf8 !== 'boolean') return '"isUtf8" is neither true nor false.';
  const properties = readUserProperties(userProperties);
  if (properties === undefined) return '"userProperties" is no list of up to 32 names and values.';
  return {
    ...draft,
    format: format as WrittenDraft['format'],
    qos,
    retain,
    isUtf8,
    userProperties: properties,
  };
}

function readUserProperties(items: unknown): WrittenDraft['userProperties'] | undefined {
  if (!Array.isArray(items) || items.length > USER_PROPERTIES_MAX) return undefined;
  const read = items.flatMap((item) => {
    const { name, value } = membersOf(item);
    return typeof name === 'string' && typeof value === 'string' ? [{ name, value }] : [];
  });
  return read.length === items.length ? read : undefined;
}

function titleOf({ collection, name }: SavedMessage): string {
  return collection === '' ? name : `${collection} / ${name}`;
}

function isText(value: unknown, charsMax: number): value is string {
  return typeof value === 'string' && value.length <= charsMax;
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
