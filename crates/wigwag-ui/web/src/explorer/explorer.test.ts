import { beforeEach, expect, test } from 'vitest';

import { message } from './tree/testing.ts';
import type { ExplorerView, Home } from './explorer.ts';
import { Explorer } from './explorer.ts';
import type { FromTree, ToTree } from './protocol.ts';

let posted: ToTree[];
let tell: (message: FromTree) => void;
let isEnded: boolean;

const NOBODY = { subscribe: () => () => undefined };

beforeEach(() => {
  posted = [];
  isEnded = false;
});

function explorer(
  api?: string,
  home: Pick<Home, 'subscribe' | 'logins'> & { userName?: string | undefined } = NOBODY,
): Explorer {
  const port = {
    post: (message: ToTree) => posted.push(message),
    listen: (listener: (message: FromTree) => void) => {
      tell = listener;
    },
    end: () => {
      isEnded = true;
    },
  };
  const snapshot = () => ({
    url: 'ws://broker',
    status: { phase: 'connecting' as const, attempt: 1 },
    downSince: undefined,
    ...(home.userName === undefined ? {} : { userName: home.userName }),
  });
  return new Explorer(() => port, Object.assign(home, { snapshot, credentials: undefined }), api);
}

async function view(of: Explorer): Promise<ExplorerView> {
  await new Promise((resolve) => requestAnimationFrame(resolve));
  return of.snapshot();
}

test('without the interface of a broker there is no connection before the first filter', () => {
  const one = explorer();
  one.showTree();
  expect(posted).toEqual([]);
  one.setFilters(['#']);
  expect(posted.map(({ kind }) => kind)).toEqual(['source', 'connect', 'filters']);
  expect(posted[0]).toEqual({ kind: 'source', source: 'filters' });
});

test('with it the tree of the broker is what is shown, until somebody subscribes', () => {
  const one = explorer('http://host/api/v1');
  one.showTree();
  expect(posted).toMatchObject([
    { kind: 'source', source: 'tree' },
    { kind: 'connect', api: 'http://host/api/v1' },
  ]);
  posted.length = 0;
  one.showTree();
  expect(posted).toEqual([]);
  one.setFilters(['a/#']);
  expect(posted).toEqual([
    { kind: 'filters', filters: [] },
    { kind: 'source', source: 'filters' },
    { kind: 'filters', filters: ['a/#'] },
  ]);
});

test('the tree is stale while what it comes from is away, whichever that is', async () => {
  const one = explorer('http://host/api/v1');
  one.showTree();
  tell({ kind: 'tree', status: { phase: 'live', since: 1 } });
  tell({ kind: 'status', status: { phase: 'connected', since: 1, refused: [] } });
  const lost = { phase: 'waiting' as const, retryAt: 2, attempt: 1, reason: 'gone' };
  tell({ kind: 'status', status: lost });
  expect((await view(one)).downSince).toBeUndefined();
  tell({ kind: 'tree', status: { phase: 'waiting', retryAt: 2, reason: 'gone' } });
  const { downSince, tree } = await view(one);
  expect(downSince).toBeDefined();
  expect(tree).toMatchObject({ reason: 'gone' });
  one.setFilters(['#']);
  tell({ kind: 'tree', status: { phase: 'live', since: 3 } });
  tell({ kind: 'status', status: { phase: 'connected', since: 3, refused: [] } });
  tell({ kind: 'status', status: lost });
  const own = await view(one);
  expect(own.tree).toBeUndefined();
  expect(own.downSince).toBeDefined();
});

test('nothing that nobody has seen is left for the first user, and what he has seen stays his', async () => {
  let follow = (): void => undefined;
  const home = {
    subscribe: (listener: () => void) => {
      follow = listener;
      return () => undefined;
    },
    logins: 0,
    userName: undefined as string | undefined,
  };
  const one = explorer('http://host/api/v1', home);
  one.showTree();
  one.watch('a');
  const added = [message('a', 'secret', { seq: 1 })];
  tell({ kind: 'tree', status: { phase: 'live', since: 1 } });
  tell({ kind: 'topic', change: { topic: 'a', keptFrom: 1, added, total: 1 } });
  const seen = { messages: 1, topics: 1, rate: 0, keptBytes: 9, beyond: 0, lost: 0, unsearched: 0 };
  const rows = { first: 0, total: 1, rows: [], cursor: undefined };
  const stats = { ...seen, found: undefined, pause: undefined };
  tell({ kind: 'rows', rows, stats });
  expect((await view(one)).rows.total).toBe(1);
  home.logins = 1;
  home.userName = 'ada';
  follow();
  expect(posted.at(-1)).toEqual({ kind: 'login', credentials: undefined, isAnother: true });
  expect(await view(one)).toMatchObject({ source: 'tree', tree: undefined, rows: { total: 0 } });
  expect(one.topic('a').snapshot().history).toEqual([]);
  tell({ kind: 'rows', rows, stats });
  home.logins = 2;
  follow();
  expect(posted.at(-1)).toEqual({ kind: 'login', credentials: undefined, isAnother: false });
  expect((await view(one)).rows.total).toBe(1);
});

test('its end is that of its worker', () => {
  const one = explorer('http://host/api/v1');
  one.showTree();
  one.end();
  expect(isEnded).toBe(true);
});
