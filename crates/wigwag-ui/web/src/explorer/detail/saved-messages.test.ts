import { beforeEach, describe, expect, test } from 'vitest';

import type { Draft, WrittenDraft } from './draft.ts';
import { BLANK, EMPTY } from './draft.ts';
import {
  exported,
  FILE_KEPT_BYTES_MAX,
  keepable,
  SAVED_CHARS_MAX,
  SAVED_MAX,
  useSavedMessages,
} from './saved-messages.ts';

beforeEach(() => {
  useSavedMessages.setState(useSavedMessages.getInitialState());
});

function save(collection: string, name: string, change: Partial<WrittenDraft> = {}): string | undefined {
  return useSavedMessages.getState().save({ collection, name, draft: { ...BLANK, topic: 't', ...change } });
}

function titles(): string[] {
  return useSavedMessages.getState().messages.map(({ collection, name }) => `${collection}/${name}`);
}

function take(file: unknown) {
  return useSavedMessages.getState().take(typeof file === 'string' ? file : JSON.stringify(file));
}

test('messages have names within their collections', () => {
  save('lamps', 'on', { payload: '1' });
  save('', 'on');
  save('lamps', 'on', { payload: '2' });
  expect(titles()).toEqual(['/on', 'lamps/on']);
  expect(useSavedMessages.getState().messages[1]?.draft.payload).toBe('2');
  useSavedMessages.getState().remove('', 'on');
  expect(titles()).toEqual(['lamps/on']);
});

test('what is exported comes back as it was', () => {
  const userProperties = [{ name: 'k', value: 'v' }];
  save('lamps', 'on', { payload: 'ü', format: 'hex', qos: 2, retain: true, expiry: '9', userProperties });
  save('', 'off');
  const before = useSavedMessages.getState().messages;
  const [all, one] = ['', 'lamps'].map((collection) => exported(before, collection));
  useSavedMessages.setState(useSavedMessages.getInitialState());
  expect(take(one)).toEqual({ added: 1, replaced: 0, problems: [] });
  expect(take(all)).toEqual({ added: 1, replaced: 1, problems: [] });
  expect(useSavedMessages.getState().messages).toEqual(before);
});

describe('a file of somebody else', () => {
  const file = (...messages: unknown[]) => ({ wigwag: 'messages', version: 1, messages });

  test.each<[what: string, file: unknown, problem: RegExp]>([
    ['that is no JSON', '{', /not JSON/],
    ['of something else', { messages: [] }, /no saved messages/],
    ['without messages', { wigwag: 'messages', version: 1 }, /no list/],
    ['with a message without a name', file({ topic: 't' }), /^Message 1: "name"/],
    ['with a QoS of 3', file({ name: 'a', qos: 3 }), /"qos" is neither 0 nor 1 nor 2/],
    ['with a topic that is a number', file({ name: 'a', topic: 1 }), /"topic" is no text/],
    ['with a format of its own', file({ name: 'a', format: '__proto__' }), /"format" is none of text, json/],
    ['with half a user property', file({ name: 'a', userProperties: [{ name: 'k' }] }), /"userProperties"/],
    ['of nothing', 'null', /no saved messages/],
  ])('%s says what is wrong', (_, content, problem) => {
    const { added, problems } = take(content);
    expect(added).toBe(0);
    expect(problems[0]).toMatch(problem);
  });

  test('with one message that is wrong gives the others', () => {
    expect(take(file({ name: 'a' }, 7, { name: 'b', topic: 't' }))).toMatchObject({
      added: 2,
      problems: [expect.stringMatching(/^Message 2/)],
    });
    expect(titles()).toEqual(['/a', '/b']);
  });

  test('with too many or too much fills what room there is, and says so', () => {
    const many = Array.from({ length: SAVED_MAX + 7 }, (_, index) => ({ name: `m${index}` }));
    expect(take(file(...many))).toMatchObject({
      added: SAVED_MAX,
      problems: [expect.stringMatching(/^7 further/)],
    });
    useSavedMessages.setState(useSavedMessages.getInitialState());
    const large = 'x'.repeat(SAVED_CHARS_MAX / 2);
    const taken = take(file({ name: 'a', payload: large }, { name: 'b', payload: large }, { name: 'c' }));
    expect(taken).toMatchObject({ added: 2, problems: [expect.stringMatching(/^b: At most 1\.0 MiB/)] });
    expect(titles()).toEqual(['/a', '/c']);
  });
});

test('a payload from a file is kept while it is small', () => {
  const draft = (length: number): Draft => ({ ...EMPTY, file: { name: 'f', bytes: new Uint8Array(length) } });
  expect(keepable(draft(3))).toEqual({ ...BLANK, format: 'base64', payload: 'AAAA' });
  expect(keepable(draft(FILE_KEPT_BYTES_MAX + 1))).toHaveProperty('problem');
});
