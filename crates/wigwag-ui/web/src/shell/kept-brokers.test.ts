import { beforeEach, describe, expect, test } from 'vitest';

import { KEPT_MAX, useKeptBrokers, whyNotKept } from './kept-brokers.ts';

beforeEach(() => {
  localStorage.clear();
  useKeptBrokers.setState(useKeptBrokers.getInitialState());
});

describe('a broker to keep', () => {
  test.each([
    ['mine', 'ws://x:9001', undefined],
    ['mine', 'http://x', 'ws:// or wss://'],
    ['mine', 'ws://me:secret@x', 'Leave user name and password out'],
    ['', 'ws://x', 'A name is needed'],
    ['x'.repeat(101), 'ws://x', '100 characters'],
    ['mine', `ws://x/${'x'.repeat(1_000)}`, '1000 characters'],
    ['lab', 'ws://x', 'called “lab” already'],
  ])('called %s at %s', (name, url, problem) => {
    const why = whyNotKept({ name, url }, ['lab'], 1);
    if (problem === undefined) expect(why).toBeUndefined();
    else expect(why).toContain(problem);
  });

  test('must have room', () => {
    expect(whyNotKept({ name: 'n', url: 'ws://x' }, [], KEPT_MAX)).toContain('remove one first');
  });
});

test('what is kept is there again, and what is not of that kind is not', async () => {
  useKeptBrokers.getState().add({ name: 'mine', url: 'ws://x' });
  expect(localStorage.getItem('wigwag.brokers')).toContain('ws://x');
  const kept = [
    { name: 'mine', url: 'ws://x' },
    { name: 'mine', url: 'ws://again' },
    { name: 'script', url: 'javascript:alert(1)' },
    { name: 'secret', url: 'ws://me:pw@x' },
    7,
    null,
    { name: 7, url: 'ws://x' },
  ];
  localStorage.setItem('wigwag.brokers', JSON.stringify({ state: { kept }, version: 1 }));
  await useKeptBrokers.persist.rehydrate();
  expect(useKeptBrokers.getState().kept).toEqual([{ name: 'mine', url: 'ws://x' }]);
  useKeptBrokers.getState().remove('mine');
  expect(useKeptBrokers.getState().kept).toEqual([]);
});
