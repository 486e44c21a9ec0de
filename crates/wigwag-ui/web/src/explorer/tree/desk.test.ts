import { beforeEach, describe, expect, test, vi } from 'vitest';

import type { Outgoing, PublishOutcome } from '../../mqtt/protocol.ts';
import type { Message } from '../../message/message.ts';
import type { FromTree, Stats } from '../protocol.ts';
import { UNDO_MS } from './clearing.ts';
import { Desk, TELL_EVERY_MS } from './desk.ts';
import { FETCH_IDLE_MS } from './retained-fetch.ts';
import { TopicStore } from '../topic-store.ts';
import { message } from './testing.ts';

let posted: FromTree[];
let published: Outgoing[];
let needed: string[];
let outcome: PublishOutcome;
let desk: Desk;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  posted = [];
  published = [];
  needed = [];
  outcome = { kind: 'accepted' };
  desk = new Desk((value) => posted.push(value), {
    publish: (value) => {
      published.push(value);
      return Promise.resolve(outcome);
    },
    need: (filter) => {
      needed.push(filter);
      return () => {
        needed.splice(needed.indexOf(filter), 1);
      };
    },
  });
});

function last<Kind extends FromTree['kind']>(kind: Kind): Extract<FromTree, { kind: Kind }> | undefined {
  return posted.findLast((value): value is Extract<FromTree, { kind: Kind }> => value.kind === kind);
}

function retain(...topics: string[]): void {
  for (const topic of topics) desk.add(message(topic, topic, { retain: true, at: Date.now() }));
}

test('says nothing of rows that nobody draws', () => {
  desk.add(message('a'));
  vi.advanceTimersByTime(10 * TELL_EVERY_MS);
  expect(posted).toEqual([]);
});

test('tells of many messages at once', () => {
  desk.handle({ kind: 'window', first: 0, count: 10 });
  posted.length = 0;
  for (let count = 0; count < 1_000; count++) desk.add(message(`t/${count}`));
  vi.advanceTimersByTime(TELL_EVERY_MS);
  expect(posted).toHaveLength(1);
  expect(last('rows')).toMatchObject({ stats: { topics: 1_000 }, rows: { total: 1 } });
});

test('a watched topic is told in full, then what is added', () => {
  desk.add(message('a', '1'));
  desk.add(message('a', '2'));
  desk.handle({ kind: 'watch', topic: 'a' });
  expect(last('topic')?.change).toMatchObject({ keptFrom: 1, total: 2, added: [{ seq: 1 }, { seq: 2 }] });
  desk.add(message('a', '3'));
  vi.advanceTimersByTime(TELL_EVERY_MS);
  expect(last('topic')?.change).toMatchObject({ keptFrom: 1, total: 3, added: [{ seq: 3 }] });
});

test('a pause holds what comes, and the end of it brings that into the tree', () => {
  desk.handle({ kind: 'window', first: 0, count: 10 });
  desk.handle({ kind: 'pause', paused: true });
  desk.add(message('a'));
  vi.advanceTimersByTime(TELL_EVERY_MS);
  expect(last('rows')?.stats).toMatchObject({ topics: 0, pause: { held: 1, lost: 0 } });
  desk.handle({ kind: 'pause', paused: false });
  expect(last('rows')?.stats).toMatchObject({ topics: 1, pause: undefined });
});

test('a pause that lasts too long says what it has lost', () => {
  desk.handle({ kind: 'window', first: 0, count: 10 });
  desk.handle({ kind: 'pause', paused: true });
  const large = 'x'.repeat(64 * 1024);
  for (let count = 0; count < 600; count++) desk.add(message('a', large));
  vi.advanceTimersByTime(TELL_EVERY_MS);
  const pause = last('rows')?.stats.pause;
  expect(pause?.lost).toBeGreaterThan(0);
  expect((pause?.held ?? 0) + (pause?.lost ?? 0)).toBe(600);
});

test('a topic of a link is revealed when its first message comes', () => {
  desk.handle({ kind: 'window', first: 0, count: 10 });
  desk.handle({ kind: 'reveal', path: 'a/b' });
  desk.add(message('a/b'));
  vi.advanceTimersByTime(TELL_EVERY_MS);
  expect(last('rows')?.rows.cursor).toEqual({ index: 1, path: 'a/b' });
});

test('says where the cursor is after the steps so far, whatever the page has drawn', () => {
  desk.add(message('a/b'));
  desk.handle({ kind: 'walk', step: { kind: 'first' } });
  desk.handle({ kind: 'where' });
  expect(last('here')?.place).toEqual({ path: 'a', isTopic: false });
  desk.handle({ kind: 'walk', step: { kind: 'in' } });
  desk.handle({ kind: 'walk', step: { kind: 'in' } });
  desk.handle({ kind: 'where' });
  expect(last('here')?.place).toEqual({ path: 'a/b', isTopic: true });
});

test('says why there is no such search, and shows everything meanwhile', () => {
  const search = { kind: 'regex', place: 'both', matchCase: false } as const;
  desk.handle({ kind: 'window', first: 0, count: 10 });
  desk.add(message('a'));
  desk.handle({ kind: 'search', search: { ...search, text: '(' } });
  expect(last('searched')?.problem).toContain('missing closing )');
  expect(last('rows')).toMatchObject({ stats: { found: undefined }, rows: { total: 1 } });
  desk.handle({ kind: 'search', search: { ...search, text: 'b' } });
  expect(last('searched')?.problem).toBeUndefined();
  expect(last('rows')).toMatchObject({ stats: { found: 0, unsearched: 0 }, rows: { total: 0 } });
});

test('the order outlives the tree', () => {
  desk.handle({ kind: 'window', first: 0, count: 10 });
  desk.handle({ kind: 'order', order: 'messages' });
  desk.handle({ kind: 'forget' });
  for (const topic of ['a', 'b', 'b']) desk.add(message(topic));
  vi.advanceTimersByTime(TELL_EVERY_MS);
  expect(last('rows')?.rows.rows.map(({ name }) => name)).toEqual(['b', 'a']);
});

describe('clearing', () => {
  const clear = async (path: string): Promise<void> => {
    desk.handle({ kind: 'clear', path });
    await vi.advanceTimersByTimeAsync(0);
  };

  test('is about what is retained at and below the branch', async () => {
    retain('a', 'a/b', 'ab');
    desk.add(message('a/c'));
    desk.handle({ kind: 'survey', path: 'a' });
    expect(last('surveyed')?.survey).toEqual({ path: 'a', retained: 2, cut: 0 });
    await clear('a');
    expect(published).toEqual(['a', 'a/b'].map((topic) => ({ topic, payload: '', qos: 1, retain: true })));
    expect(last('clearing')?.clearing).toMatchObject({ phase: 'cleared', done: 2, failed: 0, restorable: 2 });
  });

  test('tells how many failed, and why', async () => {
    retain('a/b', 'a/c');
    outcome = { kind: 'refused', reason: 'Not authorized' };
    await clear('a');
    expect(last('clearing')?.clearing).toMatchObject({ failed: 2, reason: 'Not authorized', restorable: 0 });
  });

  test('can be undone, without touching what is newer or has expired', async () => {
    retain('a/b', 'a/c');
    const properties = { messageExpiryInterval: 5, contentType: 'text/plain' };
    desk.add(message('a/d', 'd', { retain: true, at: Date.now(), properties }));
    desk.add(message('a/e', 'e', { retain: true, at: Date.now() - 60_000, properties }));
    await clear('a');
    for (const topic of ['a/b', 'a/c', 'a/d', 'a/e']) desk.add(message(topic, '', { retain: true }));
    retain('a/c');
    published.length = 0;
    vi.advanceTimersByTime(2_000);
    desk.handle({ kind: 'undo' });
    await vi.advanceTimersByTimeAsync(0);
    expect(published.map(({ topic, properties: sent }) => [topic, sent])).toEqual([
      ['a/b', {}],
      ['a/d', { messageExpiryInterval: 3, contentType: 'text/plain' }],
    ]);
    expect(last('clearing')?.clearing).toMatchObject({ phase: 'restored', done: 2, skipped: 2 });
  });

  test('cannot be undone for ever', async () => {
    retain('a');
    await clear('a');
    vi.advanceTimersByTime(UNDO_MS);
    expect(last('clearing')?.clearing).toBeUndefined();
    published.length = 0;
    desk.handle({ kind: 'undo' });
    expect(published).toEqual([]);
  });

  test('ends when it is cancelled, and what is cleared can be undone', async () => {
    retain(...Array.from({ length: 100 }, (_, index) => `a/${index}`));
    desk.handle({ kind: 'clear', path: 'a' });
    desk.handle({ kind: 'cancel' });
    await vi.advanceTimersByTimeAsync(0);
    const { clearing } = last('clearing') ?? {};
    expect(clearing).toMatchObject({ phase: 'cleared', total: 100, done: 20, restorable: 20 });
  });
});

describe('an export', () => {
  const exported = (format: 'json' | 'csv'): string => {
    desk.handle({ kind: 'export', id: 1, path: undefined, format });
    return last('exported')?.text.join('') ?? '';
  };

  test('as JSON has the latest message of each topic, whatever its bytes', () => {
    desk.add(message('a', 'old'));
    desk.add(message('a', '{"v":1}', { at: 0, qos: 1, properties: { contentType: 'application/json' } }));
    desk.add(message('b', '', { payload: new Uint8Array([0xff, 0]), bytes: 2 }));
    expect(JSON.parse(exported('json'))).toEqual([
      {
        topic: 'a',
        at: '1970-01-01T00:00:00.000Z',
        qos: 1,
        retain: false,
        bytes: 7,
        payload: '{"v":1}',
        properties: { contentType: 'application/json' },
      },
      { topic: 'b', at: '1970-01-01T00:00:00.000Z', qos: 0, retain: false, bytes: 2, payloadBase64: '/wA=' },
    ]);
  });

  test('as CSV quotes what must be, and makes no formulas of payloads', () => {
    desk.add(message('a', 'x,"y"'));
    desk.add(message('b', '=1+1'));
    desk.add(message('c', '-21.5'));
    const lines = exported('csv').split('\r\n');
    expect(lines.slice(1, 4).map((line) => line.split(',utf8,')[1])).toEqual(['"x,""y"""', "'=1+1", '-21.5']);
  });
});

describe('with the tree of the broker', () => {
  const tell = (
    topic: string,
    count: number,
    change: Partial<Message> = {},
    isRetained = change.retain ?? false,
  ): void => {
    const told = message(topic, 'told', { at: Date.now(), ...change });
    const update = { topic, count, isRated: true, isRetained, message: told };
    desk.handleNews({ updates: [update], gone: [], beyond: 0, lost: 0 });
  };
  const stats = (): Stats | undefined => {
    desk.handle({ kind: 'window', first: 0, count: 10 });
    return last('rows')?.stats;
  };
  const kept = (): string[] => {
    vi.advanceTimersByTime(TELL_EVERY_MS);
    const store = new TopicStore('a');
    for (const value of posted) if (value.kind === 'topic') store.handleChange(value.change);
    return store.snapshot().history.map(({ payload }) => new TextDecoder().decode(payload));
  };

  beforeEach(() => {
    desk.setSource('tree');
  });

  test('messages are counted as the broker counts them, at a rate', () => {
    tell('a/b', 500);
    tell('a/b', 500);
    expect(stats()).toMatchObject({ topics: 1, messages: 1_000 });
    expect(stats()?.rate).toBeGreaterThan(100);
    desk.handleNews({ updates: [], gone: [], beyond: 7, lost: 2 });
    expect(stats()).toMatchObject({ beyond: 7, lost: 2 });
  });

  test('what came before says nothing of a rate', () => {
    const update = { topic: 'a', count: 1_000, isRated: false, isRetained: false, message: message('a') };
    desk.handleNews({ updates: [update], gone: [], beyond: 0, lost: 0 });
    expect(stats()).toMatchObject({ messages: 1_000, rate: 0 });
  });

  test('an open topic has every message, and each of them once', () => {
    tell('a', 3);
    desk.handle({ kind: 'watch', topic: 'a' });
    expect(kept()).toEqual(['told']);
    // What was told is retained, and the subscription brings it whole.
    desk.add(message('a', 'told', { retain: true, properties: { contentType: 'text/plain' } }));
    expect(kept()).toEqual(['told']);
    for (const text of ['1', '2']) desk.add(message('a', text));
    tell('a', 2);
    expect(kept()).toEqual(['told', '1', '2']);
    expect(stats()).toMatchObject({ messages: 5 });
    desk.handle({ kind: 'unwatch', topic: 'a' });
    desk.add(message('a', 'late'));
    expect(stats()).toMatchObject({ messages: 5 });
  });

  test('a retained message that is older than what was told stands before it', () => {
    tell('a', 3, {}, true);
    desk.handle({ kind: 'watch', topic: 'a' });
    desk.add(message('a', 'retained', { retain: true }));
    expect(kept()).toEqual(['retained', 'told']);
  });

  test('a topic that may no longer be read goes, with branches that were there for it only', () => {
    tell('a/b/c', 1);
    tell('a/d', 2, { retain: true });
    for (const path of ['a', 'a/b']) desk.handle({ kind: 'toggle', path });
    desk.handle({ kind: 'cursor', path: 'a/b/c' });
    desk.handleNews({ updates: [], gone: ['a/b/c', 'never'], beyond: 0, lost: 0 });
    expect(stats()).toMatchObject({ topics: 1, messages: 2 });
    expect(last('rows')?.rows.rows.map(({ path }) => path)).toEqual(['a', 'a/d']);
    expect(last('rows')?.rows.cursor?.path).toBe('a');
    desk.handleNews({ updates: [], gone: ['a/d'], beyond: 0, lost: 0 });
    expect(stats()).toMatchObject({ topics: 0, messages: 0, keptBytes: 0 });
  });

  test('a pause holds the latest of each topic, however long it lasts', () => {
    tell('a', 1);
    desk.handle({ kind: 'pause', paused: true });
    for (let count = 0; count < 1_000; count++) tell('a', 10);
    const { pause } = stats() ?? {};
    expect(pause).toMatchObject({ held: 10_000, lost: 0 });
    expect(pause?.heldBytes).toBeLessThan(1_000);
    expect(stats()).toMatchObject({ messages: 1 });
    desk.handle({ kind: 'pause', paused: false });
    expect(stats()).toMatchObject({ messages: 10_001 });
  });

  test('clearing fetches what it takes away, so that it can be undone', async () => {
    tell('a/b', 1, { retain: true });
    tell('a/c', 2, {}, true);
    desk.handle({ kind: 'survey', path: 'a' });
    expect(last('surveyed')?.survey).toEqual({ path: 'a', retained: 2, cut: 0 });
    desk.handle({ kind: 'clear', path: 'a' });
    expect(needed).toEqual(['a/#']);
    const properties = { contentType: 'text/plain' };
    desk.add(message('a/b', 'all of it', { retain: true, properties }));
    desk.add(message('a/c', 'retained', { retain: true }));
    await vi.advanceTimersByTimeAsync(0);
    expect(needed).toEqual([]);
    expect(published.map(({ topic, payload }) => [topic, payload])).toEqual([
      ['a/b', ''],
      ['a/c', ''],
    ]);
    published.length = 0;
    desk.handle({ kind: 'undo' });
    await vi.advanceTimersByTimeAsync(0);
    expect(published.map(({ topic, properties: sent }) => [topic, sent])).toEqual([
      ['a/b', properties],
      ['a/c', {}],
    ]);
  });

  test('what cannot be fetched is not cleared, because it could not come back', async () => {
    tell('a/b', 1, { retain: true });
    tell('a/c', 1, { retain: true });
    desk.handle({ kind: 'clear', path: 'a' });
    desk.add(message('a/c', 'retained', { retain: true }));
    await vi.advanceTimersByTimeAsync(FETCH_IDLE_MS);
    expect(published.map(({ topic }) => topic)).toEqual(['a/c']);
    const clearing = { phase: 'cleared', total: 2, done: 2, failed: 1, restorable: 1 };
    expect(last('clearing')?.clearing).toMatchObject(clearing);
  });
});
