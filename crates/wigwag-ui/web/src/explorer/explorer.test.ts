import { beforeEach, expect, test } from 'vitest';

import type { ExplorerView } from './explorer.ts';
import { Explorer } from './explorer.ts';
import type { FromTree, ToTree } from './protocol.ts';

let posted: ToTree[];
let tell: (message: FromTree) => void;

beforeEach(() => {
  posted = [];
});

function explorer(api?: string): Explorer {
  const port = {
    post: (message: ToTree) => posted.push(message),
    listen: (listener: (message: FromTree) => void) => {
      tell = listener;
    },
  };
  const snapshot = () => ({
    url: 'ws://broker',
    status: { phase: 'connecting' as const, attempt: 1 },
    downSince: undefined,
  });
  return new Explorer(
    () => port,
    { subscribe: () => () => undefined, snapshot, credentials: undefined },
    api,
  );
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
