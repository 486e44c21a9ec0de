import { expect, test } from 'vitest';

import {
  HISTORY_BYTES_MAX,
  HISTORY_MAX,
  LATEST_BYTES_MAX,
  PATHS_CHARS_MAX,
  TOPICS_MAX,
} from '../protocol.ts';
import { message } from './testing.ts';
import { topicsOf, Trie } from './trie.ts';

test('counts topics and messages at and below each branch', () => {
  const trie = new Trie();
  for (const topic of ['a/b', 'a/b', 'a/c', 'a', '/x', '']) trie.add(message(topic));
  expect(trie.root).toMatchObject({ topics: 5, messages: 6 });
  expect(trie.find('a')).toMatchObject({ topics: 3, messages: 4, total: 1 });
  expect(trie.find('a/b')).toMatchObject({ topics: 1, messages: 2, path: 'a/b' });
  expect(trie.find('/x')?.path).toBe('/x');
  expect(trie.find('a/d')).toBeUndefined();
});

test('names that an object has by itself are names like others', () => {
  const trie = new Trie();
  for (const topic of ['__proto__/x', 'constructor', 'toString']) trie.add(message(topic));
  expect([...topicsOf(trie.root)].map(({ path }) => path)).toEqual([
    '__proto__/x',
    'constructor',
    'toString',
  ]);
});

test('orders names as people do', () => {
  const trie = new Trie();
  for (const topic of ['s10', 's9', 'S9', 's1']) trie.add(message(topic));
  expect(trie.root.sorted.map(({ name }) => name)).toEqual(['s1', 's9', 'S9', 's10']);
});

test('numbers the messages of a topic and keeps the last ones', () => {
  const trie = new Trie();
  for (let count = 0; count < HISTORY_MAX + 5; count++) trie.add(message('a'));
  const kept = trie.find('a')?.kept ?? [];
  expect(kept).toHaveLength(HISTORY_MAX);
  expect([kept[0]?.seq, kept.at(-1)?.seq]).toEqual([6, HISTORY_MAX + 5]);
});

test('lets the oldest history go when there is too much of it, and never the latest', () => {
  const trie = new Trie();
  const large = 'x'.repeat(60_000);
  trie.add(message('quiet', 'first'));
  trie.add(message('quiet', 'second'));
  for (let count = 0; count < 10 * HISTORY_MAX; count++) trie.add(message(`loud/${count % 20}`, large));
  expect(trie.keptBytes).toBeLessThan(HISTORY_BYTES_MAX + 20 * 61_000 + 1_000);
  expect(trie.find('quiet')?.kept.map(({ seq }) => seq)).toEqual([2]);
  expect(trie.find('loud/3')?.latest?.bytes).toBe(60_000);
});

test('keeps only the beginning of the latest messages when they fill their share', () => {
  const trie = new Trie();
  const large = 'x'.repeat(64 * 1024);
  for (let count = 0; count < 600; count++) trie.add(message(`t/${count}`, large));
  expect(trie.keptBytes).toBeLessThan(LATEST_BYTES_MAX + 600 * 512);
  expect(trie.find('t/599')?.latest).toMatchObject({ bytes: 64 * 1024 });
  expect(trie.find('t/599')?.latest?.payload.length).toBe(256);
});

test('takes no further topics when it is full, but the messages of those it has', () => {
  const trie = new Trie();
  for (let count = 0; count < TOPICS_MAX; count++) trie.add(message(`t/${count}`));
  expect(trie.add(message('one/more'))).toBeUndefined();
  expect(trie.add(message('t'))).toBeUndefined();
  expect(trie.add(message('t/7'))?.total).toBe(2);
  expect(trie).toMatchObject({ beyond: 2 });
  expect(trie.find('one')).toBeUndefined();
});

test('takes no further topics when the names of those it has are too long', () => {
  const trie = new Trie();
  const long = 'x'.repeat(65_000);
  for (let count = 0; count < 600; count++) trie.add(message(`${count}/${long}`));
  expect(trie.root.topics).toBeLessThan(PATHS_CHARS_MAX / 65_000 + 1);
  expect(trie.beyond).toBe(600 - trie.root.topics);
  expect(trie.add(message(`7/${long}`))?.total).toBe(2);
  expect(trie.remove(`7/${long}`)).toBeDefined();
  expect(trie.add(message('short'))).toBeDefined();
});

test('long topics and properties count as history does', () => {
  const trie = new Trie();
  const topic = 'x'.repeat(60_000);
  const userProperties = [['name', 'v'.repeat(60_000)] as const];
  for (let count = 0; count < HISTORY_MAX; count++)
    trie.add(message(topic, 'x', { properties: { userProperties } }));
  expect(trie.keptBytes).toBeGreaterThan(HISTORY_MAX * 120_000);
  for (let count = 0; count < 3 * HISTORY_MAX; count++) trie.add(message(`${topic}/${count % 3}`, topic));
  expect(trie.keptBytes).toBeLessThan(HISTORY_BYTES_MAX + 1_000_000);
});

test('knows what is retained, until a retained message without payload', () => {
  const trie = new Trie();
  trie.add(message('a/b', 'kept', { retain: true }));
  trie.add(message('a/b', 'passing'));
  expect(trie.find('a/b')?.retained?.seq).toBe(1);
  expect(trie.root.retainedTopics).toBe(1);
  trie.add(message('a/b', '', { retain: true }));
  expect(trie.find('a/b')?.retained).toBeUndefined();
  expect(trie.root.retainedTopics).toBe(0);
});

test('tells the rate of the last seconds', () => {
  const trie = new Trie();
  for (let at = 0; at < 30_000; at += 100) trie.add(message('a', 'x', { at }));
  expect(trie.root.rate(30_000)).toBeCloseTo(10, 0);
  expect(trie.root.rate(60_000)).toBeLessThan(0.05);
});

test('a topic that the broker tells again, after it was forgotten here, is a topic', () => {
  const trie = new Trie();
  const told = { topic: 'a/b', isRated: false, isRetained: false, message: message('a/b') };
  trie.update({ ...told, count: 0 }, false);
  expect(trie.find('a/b')).toMatchObject({ total: 1, topics: 1 });
  expect(trie.remove('a/b')).toBeDefined();
  expect(trie.root).toMatchObject({ topics: 0, messages: 0 });
});
