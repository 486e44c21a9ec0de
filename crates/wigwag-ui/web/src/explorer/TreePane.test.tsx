import { act, fireEvent, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import { Station, StationProvider } from '../station.ts';
import { Explorer } from './explorer.ts';
import type { FromTree, Place, Row, Rows, Stats, ToTree } from './protocol.ts';
import type { FromRecorder, ToRecorder } from './recording/protocol.ts';
import { Recorder } from './recording/recorder.ts';
import { TreePane } from './TreePane.tsx';

let recorder: Recorder;
vi.mock('./recording/useRecorder.ts', () => ({ useRecorder: () => recorder }));

const posted: ToTree[] = [];
const asked: ToRecorder[] = [];
const opened: string[] = [];
let tell: (message: FromTree) => void;
let tellOfRecording: (message: FromRecorder) => void;
let station: Station;
let user: ReturnType<typeof userEvent.setup>;

const STATS: Stats = {
  messages: 1_234,
  topics: 3,
  rate: 2.5,
  keptBytes: 2_048,
  beyond: 0,
  lost: 0,
  found: undefined,
  unsearched: 0,
  pause: undefined,
};

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime });
  posted.length = asked.length = opened.length = 0;
  const port = { post: () => undefined, listen: () => undefined, end: () => undefined };
  station = new Station(port, { name: 'b', address: { url: 'ws://b:9001' }, from: 'server' });
  const explorer = new Explorer(
    () => ({
      post: (message) => posted.push(message),
      listen: (listener) => (tell = listener),
      end: () => undefined,
    }),
    station.connection,
  );
  recorder = new Recorder(
    () => ({
      post: (message) => asked.push(message),
      listen: (listener) => (tellOfRecording = listener),
      end: () => undefined,
    }),
    station.connection,
  );
  explorer.setFilters(['#']);
  render(
    <StationProvider value={station}>
      <TreePane explorer={explorer} topic="a/b" onOpen={(path) => opened.push(path)} />
    </StationProvider>,
  );
});

function row(path: string, change: Partial<Row> = {}): Row {
  const levels = path.split('/');
  return {
    path,
    name: levels.at(-1) ?? '',
    level: levels.length,
    setSize: 1,
    position: 1,
    isOpen: undefined,
    topics: 1,
    messages: 1,
    rate: 0,
    isRetained: false,
    preview: 'x',
    at: 0,
    ...change,
  };
}

function frame(): void {
  act(() => {
    vi.advanceTimersToNextFrame();
  });
}

function show(rows: Row[], change: { stats?: Partial<Stats>; cursor?: Rows['cursor'] } = {}): void {
  const all: Rows = { first: 0, total: rows.length, rows, cursor: change.cursor };
  tell({ kind: 'rows', rows: all, stats: { ...STATS, ...change.stats } });
  frame();
}

const BRANCH = row('a', { isOpen: true, topics: 2, preview: undefined, position: 2, setSize: 5 });
const LEAF = row('a/b', { isRetained: true, preview: '21.5', level: 2, rate: 3 });

describe('a row', () => {
  test('says to assistive technology what it is and where', () => {
    show([BRANCH, LEAF], { cursor: { index: 1, path: 'a/b' } });
    const [branch, leaf] = screen.getAllByRole('treeitem');
    const of = (name: string): (string | null | undefined)[] =>
      [branch, leaf].map((one) => one?.getAttribute(name));
    expect(of('aria-level')).toEqual(['1', '2']);
    expect(of('aria-setsize')).toEqual(['5', '1']);
    expect(of('aria-posinset')).toEqual(['2', '1']);
    expect(of('aria-expanded')).toEqual(['true', null]);
    expect(of('aria-selected')).toEqual(['false', 'true']);
    expect(screen.getByRole('tree').getAttribute('aria-activedescendant')).toBe(leaf?.id);
    // What comes with every message is for the eye alone.
    expect(screen.getByRole('treeitem', { name: /^b ?, retained ?, ?21.5$/ })).toBe(leaf);
  });

  test('shows names and payloads as text, with what hides in them', () => {
    show([
      row('<img src=x>', { preview: '<script>' }),
      row('safe\u202egpj.exe', { preview: 'a\n\tb\u0007' }),
      row('a/', { name: '', preview: '' }),
    ]);
    expect(screen.getAllByRole('treeitem').map((one) => one.textContent)).toEqual([
      '<img src=x>, <script>',
      'safe⟨202E⟩gpj.exe, a b⟨0007⟩',
      'empty level, no payload',
    ]);
    expect(document.querySelector('img, script')).toBeNull();
  });

  test('opens with a click: a topic beside the tree, a branch in it', async () => {
    show([BRANCH, LEAF]);
    await user.click(screen.getByRole('treeitem', { name: /^a/ }));
    expect(posted.at(-1)).toEqual({ kind: 'toggle', path: 'a' });
    await user.click(screen.getByRole('treeitem', { name: /^b/ }));
    expect(posted.at(-1)).toEqual({ kind: 'cursor', path: 'a/b' });
    expect(opened).toEqual(['a/b']);
  });
});

describe('the keys of the tree', () => {
  const press = (key: string): void => {
    fireEvent.keyDown(screen.getByRole('tree'), { key });
  };
  const answer = async (place: Place): Promise<void> => {
    await act(async () => {
      tell({ kind: 'here', place });
      await vi.advanceTimersByTimeAsync(20);
    });
  };

  test.each([
    ['ArrowDown', { kind: 'by', rows: 1 }],
    ['ArrowUp', { kind: 'by', rows: -1 }],
    ['Home', { kind: 'first' }],
    ['End', { kind: 'last' }],
    ['ArrowRight', { kind: 'in' }],
    ['ArrowLeft', { kind: 'out' }],
    ['*', { kind: 'open-siblings' }],
    ['p', { kind: 'type', text: 'p' }],
  ])('%s walks', (key, step) => {
    show([BRANCH]);
    press(key);
    expect(posted.at(-1)).toEqual({ kind: 'walk', step });
  });

  test.each([' ', '/', '?', '.'])('%j is left to the page', (key) => {
    show([BRANCH]);
    const before = posted.length;
    press(key);
    expect(posted.slice(before)).toEqual([]);
  });

  test('Enter acts where the worker has the cursor', async () => {
    show([BRANCH, LEAF], { cursor: { index: 0, path: 'a' } });
    press('Enter');
    await answer({ path: 'a/b', isTopic: true });
    expect(opened).toEqual(['a/b']);
    press('Enter');
    await answer({ path: 'a', isTopic: false });
    expect(posted.at(-1)).toEqual({ kind: 'toggle', path: 'a' });
  });

  test('Delete asks, and above a hundred wants the branch typed as it is seen', async () => {
    show([BRANCH]);
    press('Delete');
    await answer({ path: 'a\u202eb', isTopic: false });
    tell({ kind: 'surveyed', survey: { path: 'a\u202eb', retained: 101, cut: 2 } });
    frame();
    const dialog = screen.getByRole('dialog', { name: 'Clear retained messages' });
    expect(within(dialog).getByTestId('clear-count').textContent).toContain(
      '101 retained messages at and below a⟨202E⟩b',
    );
    expect(within(dialog).getByText(/2 of them are too large/)).toBeTruthy();
    const confirm = within(dialog).getByRole('button', { name: 'Clear 101' });
    expect(confirm.getAttribute('aria-disabled')).toBe('true');
    await user.type(within(dialog).getByRole('textbox'), 'a⟨202E⟩b');
    await user.click(confirm);
    expect(posted.at(-1)).toEqual({ kind: 'clear', path: 'a\u202eb' });
  });
});

describe('the toolbar', () => {
  test('orders the tree', async () => {
    await user.selectOptions(screen.getByRole('combobox', { name: 'Order of the tree' }), 'By rate');
    expect(posted.at(-1)).toEqual({ kind: 'order', order: 'rate' });
  });

  test('searches as it is typed, says what is wrong, and how much was found', async () => {
    // No frame in between: hands are faster.
    await user.selectOptions(screen.getByRole('combobox', { name: 'How to search' }), 'Regex');
    await user.click(screen.getByRole('button', { name: 'Match case' }));
    fireEvent.change(screen.getByRole('searchbox'), { target: { value: '(' } });
    fireEvent.change(screen.getByRole('searchbox'), { target: { value: '(a' } });
    expect(screen.getByRole<HTMLInputElement>('searchbox').value).toBe('(a');
    const search = { text: '(a', kind: 'regex', place: 'both', matchCase: true };
    expect(posted.at(-1)).toEqual({ kind: 'search', search });
    tell({ kind: 'searched', problem: 'This is no regular expression.' });
    frame();
    expect(screen.getByRole('alert').textContent).toBe('This is no regular expression.');
    expect(screen.getByRole('searchbox').getAttribute('aria-invalid')).toBe('true');
    tell({ kind: 'searched', problem: undefined });
    const said = vi.spyOn(station.announcer, 'say');
    show([LEAF], { stats: { found: 1, unsearched: 7 } });
    expect(screen.getByTestId('tree-figures').textContent).toMatch(/^7 to be searched · 1 found · 3 topics/);
    act(() => {
      vi.advanceTimersByTime(5_000);
    });
    expect(said).not.toHaveBeenCalled();
    for (const found of [1, 2, 3]) show([LEAF], { stats: { found } });
    act(() => {
      vi.advanceTimersByTime(5_000);
    });
    expect(said.mock.calls).toEqual([['1 topic found']]);
  });

  test('a pause says how much it holds, and what it has lost', async () => {
    await user.click(screen.getByRole('button', { name: 'Pause' }));
    frame();
    expect(posted.at(-1)).toEqual({ kind: 'pause', paused: true });
    show([], { stats: { pause: { held: 5, heldBytes: 16 * 1024 * 1024, lost: 3 } } });
    expect(screen.getByTestId('pause').textContent).toContain('5 messages held, 16.0 MiB of 32.0 MiB');
    expect(screen.getByRole('meter', { name: 'Buffer in use' }).getAttribute('value')).toBe('50');
    expect(screen.getByText(/3 messages will not be in the tree/)).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Resume' }).getAttribute('aria-pressed')).toBe('true');
  });

  test('what is beyond the tree is counted', () => {
    show([], { stats: { beyond: 1_000 } });
    expect(screen.getByTestId('tree-figures').textContent).toContain('1,000 messages of further topics');
  });
});

describe('recording', () => {
  const stats = { messages: 2, bytes: 1_024, isFull: false };

  test('of all that the tree is subscribed to, with a meter, until it is stopped', async () => {
    const said = vi.spyOn(station.announcer, 'say');
    await user.click(screen.getByRole('button', { name: 'Record all that arrives' }));
    frame();
    expect(asked).toMatchObject([{ kind: 'start', url: 'ws://b:9001', filters: ['#'] }]);
    tellOfRecording({ kind: 'stats', stats });
    frame();
    const bar = screen.getByTestId('recording');
    expect(bar.textContent).toContain('2 messages, 1.0 KiB of 64.0 MiB');
    expect(
      within(bar)
        .getByRole('meter', { name: /Recording/ })
        .getAttribute('value'),
    ).toBe('1024');
    await user.click(within(bar).getByRole('button', { name: 'Stop recording' }));
    expect(asked.at(-1)).toEqual({ kind: 'stop' });
    tellOfRecording({ kind: 'recorded', stats: { ...stats, isFull: true }, lines: new Blob(['x']) });
    frame();
    expect(bar.textContent).toContain('It was full and has ended.');
    expect(said.mock.calls).toEqual([['Recording'], ['The recording is full, 2 messages']]);
    await user.click(within(bar).getByRole('button', { name: 'Discard' }));
    frame();
    expect(screen.queryByTestId('recording')).toBeNull();
  });

  test('of the branch at the cursor, and what keeps it from arriving is told', async () => {
    show([BRANCH], { cursor: { index: 0, path: 'a' } });
    await user.click(screen.getByRole('button', { name: 'Record this branch' }));
    frame();
    expect(asked).toMatchObject([{ kind: 'start', filters: ['a/#'] }]);
    const refused = [{ filter: 'a/#', reason: 'Not authorized' }];
    tellOfRecording({ kind: 'status', status: { phase: 'connected', since: 0, refused } });
    frame();
    expect(screen.getByTestId('recording').textContent).toContain(
      'refused the subscription to a/#: Not authorized',
    );
    tellOfRecording({ kind: 'status', status: { phase: 'waiting', retryAt: 0, attempt: 1, reason: 'gone' } });
    frame();
    expect(screen.getByTestId('recording').textContent).toContain('Nothing arrives: gone.');
    expect(screen.getByTestId('recording').textContent).toContain('The connection was lost once');
    expect(screen.getByRole('button', { name: 'Record this branch' }).getAttribute('aria-disabled')).toBe(
      'true',
    );
  });
});

describe('clearing', () => {
  const sum = { path: 'a', done: 3, total: 4, failed: 1, reason: 'Not authorized' } as const;

  test('tells how it goes, and can be cancelled', async () => {
    tell({ kind: 'clearing', clearing: { ...sum, phase: 'clearing' } });
    frame();
    expect(screen.getByRole('progressbar').getAttribute('value')).toBe('3');
    expect(screen.getByTestId('clearing').textContent).toContain(
      '1 failed, the first because: Not authorized',
    );
    await user.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(posted.at(-1)).toEqual({ kind: 'cancel' });
  });

  test('can be undone for a while, and its result is said once', async () => {
    const said = vi.spyOn(station.announcer, 'say');
    const cleared = { ...sum, phase: 'cleared', undoUntil: Date.now() + 30_000, restorable: 2 } as const;
    tell({ kind: 'clearing', clearing: cleared });
    frame();
    await user.click(screen.getByRole('button', { name: /^Undo \(\d+ s\)$/ }));
    expect(posted.at(-1)).toEqual({ kind: 'undo' });
    expect(said.mock.calls).toEqual([['2 retained messages cleared']]);
  });
});

test('the lines for a terminal are about the branch at the cursor', async () => {
  show([BRANCH], { cursor: { index: 0, path: 'a' } });
  await user.click(screen.getByRole('button', { name: 'Command' }));
  expect(screen.getByText("wigwag sub -h b --ws -p 9001 -v -t 'a/#'")).toBeTruthy();
  expect(screen.getByText("mosquitto_sub -h b -p 1883 -v -t 'a/#'")).toBeTruthy();
});

test('a tree that has lost its connection says so, and looks so', async () => {
  show([LEAF]);
  tell({ kind: 'status', status: { phase: 'connected', since: 0, refused: [] } });
  tell({
    kind: 'status',
    status: { phase: 'waiting', retryAt: 0, attempt: 1, reason: 'the broker is gone' },
  });
  frame();
  expect(screen.getByText(/^The tree stands still.*: the broker is gone/)).toBeTruthy();
  await user.click(screen.getByRole('button', { name: 'Retry now' }));
  expect(posted.at(-1)).toEqual({ kind: 'retry' });
});
