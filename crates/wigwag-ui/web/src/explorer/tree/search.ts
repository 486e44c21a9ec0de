/** What a search means: a test on the name of a topic and on the text of its latest payload. */
import type { Message } from '../../message/message.ts';
import { matches } from '../../mqtt/filter.ts';
import type { Search } from '../protocol.ts';
import { filterProblem } from './filters.ts';

/** Of a payload, only its beginning is searched. */
export const SEARCHED_BYTES_MAX = 4_096;

export type Test = (topic: string, latest: Message | undefined) => boolean;

/** Why it cannot be searched for; nothing if it can. */
export function searchProblem(search: Search): string | undefined {
  switch (search.kind) {
    case 'text':
      return undefined;
    case 'filter':
      return filterProblem(search.text);
    case 'regex':
      try {
        new RegExp(search.text, 'u');
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
  }
}

/** The search must be one without a problem. */
export function testFor(search: Search): Test {
  // A filter is about topics, whatever else is chosen.
  if (search.kind === 'filter') return (topic) => matches(search.text, topic);
  const finds = textTest(search);
  const inTopic = search.place !== 'payload';
  const inPayload = search.place !== 'topic';
  return (topic, latest) =>
    (inTopic && finds(topic)) || (inPayload && latest !== undefined && finds(textOf(latest)));
}

function textTest({ kind, text, matchCase }: Search): (where: string) => boolean {
  if (kind === 'regex') {
    const expression = new RegExp(text, matchCase ? 'u' : 'iu');
    return (where) => expression.test(where);
  }
  if (matchCase) return (where) => where.includes(text);
  const wanted = text.toLowerCase();
  return (where) => where.toLowerCase().includes(wanted);
}

const utf8 = new TextDecoder();

function textOf({ payload }: Message): string {
  return utf8.decode(payload.subarray(0, SEARCHED_BYTES_MAX));
}
