/**
 * What a search means: a test on the name of a topic and on the text of its latest payload. Regular expressions are those
 * of RE2, whose time grows with the text and nothing else; the browser's own can take for ever.
 */
import { RE2JS, RE2JSException } from 're2js';

import type { Message } from '../../message/message.ts';
import { matches } from '../../mqtt/filter.ts';
import type { Search } from '../protocol.ts';
import { filterProblem } from './filters.ts';

/** Of a payload, only its beginning is searched. */
export const SEARCHED_BYTES_MAX = 4_096;
/** Of a regular expression, whose size is part of what it costs. */
export const REGEX_CHARS_MAX = 500;

export type Test = (topic: string, latest: Message | undefined) => boolean;

/** What to test for, or why it cannot be searched for. */
export function readSearch(search: Search): { test: Test } | { problem: string } {
  // A filter is about topics, whatever else is chosen.
  if (search.kind === 'filter') {
    const problem = filterProblem(search.text);
    return problem === undefined ? { test: (topic) => matches(search.text, topic) } : { problem };
  }
  const finds = search.kind === 'regex' ? expressionTest(search) : { test: textTest(search) };
  if ('problem' in finds) return finds;
  const inTopic = search.place !== 'payload';
  const inPayload = search.place !== 'topic';
  return {
    test: (topic, latest) =>
      (inTopic && finds.test(topic)) || (inPayload && latest !== undefined && finds.test(textOf(latest))),
  };
}

function textTest({ text, matchCase }: Search): (where: string) => boolean {
  if (matchCase) return (where) => where.includes(text);
  const wanted = text.toLowerCase();
  return (where) => where.toLowerCase().includes(wanted);
}

function expressionTest({
  text,
  matchCase,
}: Search): { test: (where: string) => boolean } | { problem: string } {
  if (text.length > REGEX_CHARS_MAX) {
    return { problem: `A regular expression has at most ${REGEX_CHARS_MAX} characters here.` };
  }
  try {
    const exact = RE2JS.compile(text);
    // Compiled for the second time so that complaints are about what was typed, without the flag before it.
    const expression = matchCase ? exact : RE2JS.compile(text, RE2JS.CASE_INSENSITIVE);
    return { test: (where) => expression.test(where) };
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    return { problem: regexProblem(text, error.message) };
  }
}

/** What browsers know and RE2 does not, because it could not keep its promise then. */
const UNSUPPORTED: readonly (readonly [RegExp, string])[] = [
  [/\(\?<?[=!]/, 'looking ahead or behind, as (?=…) does,'],
  [/\\[1-9k]/, 'referring to what a group has found, as \\1 does,'],
  [/\(\?>|[*+?}]\+/, 'atomic groups and possessive repetition'],
];

function regexProblem(text: string, reason: string): string {
  const unsupported = UNSUPPORTED.find(([syntax]) => syntax.test(text))?.[1];
  return unsupported === undefined
    ? `This is no regular expression: ${reason.replace(/^error parsing regexp: /, '')}.`
    : `Regular expressions are those of RE2 here: ${unsupported} is not among them.`;
}

const utf8 = new TextDecoder();

function textOf({ payload }: Message): string {
  return utf8.decode(payload.subarray(0, SEARCHED_BYTES_MAX));
}
