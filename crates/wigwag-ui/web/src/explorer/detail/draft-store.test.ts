import { expect, test } from 'vitest';

import { emptyDraft } from './draft-store.ts';

test('the topic follows what is looked at, until another one is typed', () => {
  const { getState } = emptyDraft();
  const { edit, suggestTopic } = getState();
  const topic = () => getState().draft.topic;
  suggestTopic('a');
  suggestTopic('b');
  expect(topic()).toBe('b');
  edit({ topic: 'mine' });
  suggestTopic('c');
  expect(topic()).toBe('mine');
  edit({ topic: '' });
  suggestTopic('d');
  expect(topic()).toBe('d');
});
