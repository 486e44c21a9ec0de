import { beforeEach, describe, expect, test } from 'vitest';

import type { Order, Search, Step } from '../protocol.ts';
import { NO_SEARCH } from '../address.ts';
import { RESORT_MS } from './order.ts';
import { Outline } from './outline.ts';
import { readSearch } from './search.ts';
import { message } from './testing.ts';
import { topicsOf, Trie } from './trie.ts';

let trie: Trie;
let outline: Outline;

beforeEach(() => {
  trie = new Trie();
  outline = new Outline(trie);
  for (const topic of ['plant/line1/temp', 'plant/line1/rate', 'plant/line2/temp', 'office', '$SYS/up']) {
    trie.add(message(topic));
  }
});

function rows(): string[] {
  return outline.window(0, 100, 0).rows.map(({ path, isOpen }) => {
    const mark = isOpen === undefined ? ' ' : isOpen ? '-' : '+';
    return `${mark}${path}`;
  });
}

function search(change: Partial<Search>): void {
  const read = readSearch({ ...NO_SEARCH, ...change });
  if ('problem' in read) throw new Error(read.problem);
  outline.search(read.test);
  outline.examine();
}

function walk(...steps: Step['kind'][]): string | undefined {
  for (const kind of steps) {
    if (kind === 'by') outline.walk({ kind, rows: 1 });
    else if (kind === 'type') outline.walk({ kind, text: 'pl' });
    else outline.walk({ kind });
  }
  return outline.window(0, 100, 0).cursor?.path;
}

test('begins with everything closed', () => {
  expect(rows()).toEqual(['+$SYS', ' office', '+plant']);
});

test('shows what is below an open branch, and says where each row stands', () => {
  outline.toggle('plant');
  outline.toggle('plant/line1');
  expect(rows()).toEqual([
    '+$SYS',
    ' office',
    '-plant',
    '-plant/line1',
    ' plant/line1/rate',
    ' plant/line1/temp',
    '+plant/line2',
  ]);
  expect(outline.window(4, 1, 0).rows[0]).toMatchObject({ level: 3, setSize: 2, position: 1 });
});

test('a window beyond the end shows the end', () => {
  expect(outline.window(40, 2, 0)).toMatchObject({
    first: 1,
    total: 3,
    rows: [{ path: 'office' }, { path: 'plant' }],
  });
});

describe('the cursor', () => {
  test('goes in and out as in every tree', () => {
    expect(walk('last', 'in')).toBe('plant');
    expect(walk('in')).toBe('plant/line1');
    expect(walk('in', 'by')).toBe('plant/line1/rate');
    expect(walk('out')).toBe('plant/line1');
    expect(walk('out')).toBe('plant/line1');
    expect(walk('out')).toBe('plant');
    expect(walk('first')).toBe('$SYS');
    expect(walk('out')).toBe('$SYS');
  });

  test('stays at the ends', () => {
    expect(walk('last', 'by')).toBe('plant');
  });

  test('finds names by their beginning', () => {
    expect(walk('first', 'type')).toBe('plant');
  });

  test('opens all siblings', () => {
    outline.toggle('plant');
    walk('in', 'open-siblings');
    expect(rows()).toContain(' plant/line2/temp');
  });

  test('goes up when its branch is closed', () => {
    outline.reveal('plant/line1/temp');
    expect(outline.window(0, 10, 0).cursor).toEqual({ index: 5, path: 'plant/line1/temp' });
    outline.toggle('plant');
    expect(outline.window(0, 10, 0).cursor?.path).toBe('plant');
  });

  test('stays on its topic when others come before it', () => {
    outline.putCursor('office');
    trie.add(message('attic'));
    expect(outline.window(0, 10, 0).cursor).toEqual({ index: 2, path: 'office' });
  });
});

describe('a search', () => {
  test('shows what it finds and the way there, all open', () => {
    search({ text: 'TEMP' });
    expect(rows()).toEqual([
      '-plant',
      '-plant/line1',
      ' plant/line1/temp',
      '-plant/line2',
      ' plant/line2/temp',
    ]);
    expect(outline.found).toBe(2);
    outline.toggle('plant/line1');
    expect(rows()).not.toContain(' plant/line1/temp');
    outline.search(undefined);
    expect(rows()).toEqual(['+$SYS', ' office', '+plant']);
  });

  test('finds what comes later, and loses what fits no longer', () => {
    search({ text: 'alarm', place: 'payload' });
    expect(rows()).toEqual([]);
    const node = trie.add(message('office', 'alarm!'));
    outline.handleTouched(node === undefined ? [] : [node]);
    outline.examine();
    expect(rows()).toEqual([' office']);
    trie.add(message('office', 'quiet'));
    outline.handleTouched(node === undefined ? [] : [node]);
    outline.examine();
    expect(rows()).toEqual([]);
  });

  test('limits what is told of a branch', () => {
    search({ text: 'line1' });
    expect([...outline.topics(trie.root)].map(({ path }) => path)).toEqual([
      'plant/line1/rate',
      'plant/line1/temp',
    ]);
  });

  test('ends when its time is up, says what is left, and goes on from there', () => {
    search({ text: 'nothing like it' });
    outline.handleTouched(topicsOf(trie.root));
    expect(outline.unsearched).toBe(5);
    let looks = 0;
    outline.examine(() => ++looks === 2);
    expect(outline.unsearched).toBe(3);
    outline.examine();
    expect(outline.unsearched).toBe(0);
  });
});

describe('the order', () => {
  const order = (by: Order, now = 0): string[] => {
    outline.setOrder(by);
    return outline.window(0, 100, now).rows.map(({ path }) => path);
  };

  beforeEach(() => {
    for (let count = 0; count < 9; count++) trie.add(message('office', 'x', { at: 1_000 }));
    trie.add(message('$SYS/up', 'x', { at: 60_000 }));
  });

  test.each<[Order, string[]]>([
    ['name', ['$SYS', 'office', 'plant']],
    ['messages', ['office', 'plant', '$SYS']],
    ['topics', ['plant', '$SYS', 'office']],
    ['newest', ['$SYS', 'office', 'plant']],
    ['rate', ['$SYS', 'office', 'plant']],
  ])('by %s', (by, expected) => {
    expect(order(by, 61_000)).toEqual(expected);
  });

  test('holds below a branch too, and for what a search shows', () => {
    trie.add(message('plant/line2/temp'));
    trie.add(message('plant/line2/temp'));
    outline.toggle('plant');
    expect(order('messages').slice(1, 4)).toEqual(['plant', 'plant/line2', 'plant/line1']);
    search({ text: 'line', place: 'topic' });
    expect(order('messages').slice(0, 2)).toEqual(['plant', 'plant/line2']);
  });

  test('changes now and then only, so that a row can be aimed at, and the cursor goes with its row', () => {
    order('messages', 10_000);
    outline.putCursor('office');
    for (let count = 0; count < 50; count++) trie.add(message('plant/line1/temp'));
    const paths = (now: number): string[] => outline.window(0, 100, now).rows.map(({ path }) => path);
    expect(paths(10_000 + RESORT_MS - 1)[0]).toBe('office');
    expect(paths(10_000 + RESORT_MS)[0]).toBe('plant');
    expect(outline.window(0, 100, 10_000 + RESORT_MS).cursor).toEqual({ index: 1, path: 'office' });
  });
});

test('a name of any length is told in so much that can be read', () => {
  trie.add(message('n'.repeat(60_000)));
  const name = outline.window(0, 100, 0).rows.find((row) => row.name.startsWith('nn'))?.name;
  expect(name).toHaveLength(201);
});
