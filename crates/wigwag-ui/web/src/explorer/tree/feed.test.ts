import { beforeEach, expect, test } from 'vitest';

import { Feed } from './feed.ts';

let held: string[];
let feed: Feed;

beforeEach(() => {
  held = [];
  feed = new Feed({
    handle: ({ kind, filter }) => {
      held = kind === 'subscribe' ? [...held, filter] : held.filter((other) => other !== filter);
    },
  });
});

test('subscribes to what the user has chosen, and to nothing else', () => {
  feed.setFilters(['a/#', 'b']);
  feed.watch('c');
  expect(held).toEqual(['a/#', 'b']);
  feed.setFilters(['b', 'c/+']);
  expect(held).toEqual(['b', 'c/+']);
});

test('with the tree of the broker, subscribes to topics that are open', () => {
  feed.setFilters(['a/#']);
  feed.watch('a/1');
  feed.watch('a/2');
  feed.setSource('tree');
  expect(held).toEqual(['a/1', 'a/2']);
  feed.unwatch('a/1');
  expect(held).toEqual(['a/2']);
});

test('what cannot be a topic is no subscription to many', () => {
  feed.setSource('tree');
  for (const topic of ['#', 'a/+', '']) feed.watch(topic);
  expect(held).toEqual([]);
});

test('a need lasts until nobody has it, and brings nothing twice', () => {
  feed.setFilters(['a/#']);
  const covered = feed.need('a/b/#');
  expect(held).toEqual(['a/#']);
  covered();
  feed.setSource('tree');
  const [first, second] = [feed.need('a/b/#'), feed.need('a/b/#')];
  expect(held).toEqual(['a/b/#']);
  first();
  first();
  expect(held).toEqual(['a/b/#']);
  second();
  expect(held).toEqual([]);
});
