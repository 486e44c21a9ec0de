import { act, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter, useLocation } from 'react-router';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import type { FromWorker, LinkStatus, ToWorker } from '../mqtt/protocol.ts';
import { Station, StationProvider } from '../station.ts';
import { brokerAt } from '../testing.ts';
import { DevicesPage } from './DevicesPage.tsx';

const NOW = new Date('2026-01-01T12:00:00Z').getTime();

let sent: ToWorker[];
let deliver: (message: FromWorker) => void;
let user: ReturnType<typeof userEvent.setup>;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
  user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime });
  sent = [];
});

function Address() {
  return <output data-testid="address">{useLocation().search}</output>;
}

function open(search = ''): void {
  const port = {
    post: (message: ToWorker) => sent.push(message),
    listen: (listener: (message: FromWorker) => void) => (deliver = listener),
    end: () => undefined,
  };
  const station = new Station(port, brokerAt('ws://b'));
  deliver({ kind: 'status', status: { phase: 'connected', since: NOW, refused: [] } });
  render(
    <StationProvider value={station}>
      <MemoryRouter initialEntries={[`/devices${search}`]}>
        <DevicesPage />
        <Address />
      </MemoryRouter>
    </StationProvider>,
  );
}

function receive(...states: [id: string, status: string, temperature: number][]): void {
  const messages = states.map(([id, status, temperature]) => {
    const text = JSON.stringify({ deviceId: id, status, temperature, timestamp: NOW / 1_000 });
    return { topic: `device/${id}/state`, text, bytes: text.length, retain: false, qos: 0, at: NOW } as const;
  });
  act(() => {
    deliver({ kind: 'messages', messages, skipped: 0 });
    vi.advanceTimersToNextFrame();
  });
}

function rows(): (string | null | undefined)[] {
  const all = within(screen.getByRole('table')).getAllByRole('row').slice(1);
  return all.map((row) => within(row).getByRole('link').textContent);
}

test('search and facets narrow the cards and stand in the address', async () => {
  open();
  receive(['hall-1', 'running', 20], ['hall-2', 'idle', 20], ['yard-1', 'idle', 20]);
  await user.type(screen.getByRole('searchbox', { name: 'Search' }), 'HALL');
  expect(screen.getAllByRole('article')).toHaveLength(2);
  await user.click(screen.getByRole('button', { name: 'Idle 1' }));
  expect(screen.getAllByRole('article').map((card) => card.dataset.device)).toEqual(['hall-2']);
  expect(screen.getByTestId('address').textContent).toBe('?q=HALL&status=idle');
  await user.click(screen.getByRole('button', { name: 'Idle 1' }));
  expect(screen.getAllByRole('article')).toHaveLength(2);
});

test('of many devices, the places of the cards come frame by frame', () => {
  const places = () => document.querySelectorAll('section[aria-label="Devices"] .grid > div').length;
  vi.stubGlobal(
    'IntersectionObserver',
    class {
      observe = () => undefined;
      unobserve = () => undefined;
    },
  );
  open();
  receive(...Array.from({ length: 600 }, (_, index) => [`${index}`, 'idle', 20] as [string, string, number]));
  const first = places();
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThan(200);
  for (let frames = 0; frames < 10; frames++) {
    act(() => {
      vi.advanceTimersToNextFrame();
    });
  }
  expect(places()).toBe(500);
  expect(screen.getByText(/^100 more have no card here/)).toBeDefined();
  vi.unstubAllGlobals();
});

test('an address says what is shown', () => {
  open('?view=table&q=hall&sort=-value');
  receive(['hall-1', 'running', 20], ['hall-2', 'idle', 30], ['yard-1', 'idle', 40]);
  expect(rows()).toEqual(['hall-2', 'hall-1']);
  expect(screen.getByRole('columnheader', { name: 'Temperature' }).getAttribute('aria-sort')).toBe(
    'descending',
  );
});

test('a header sorts, and sorts the other way round', async () => {
  open('?view=table');
  receive(['a', 'idle', 3], ['b', 'idle', 1], ['c', 'idle', 2]);
  expect(rows()).toEqual(['a', 'b', 'c']);
  await user.click(screen.getByRole('button', { name: 'Temperature' }));
  expect(rows()).toEqual(['b', 'c', 'a']);
  await user.click(screen.getByRole('button', { name: 'Temperature' }));
  expect(rows()).toEqual(['a', 'c', 'b']);
});

test('of many devices the table draws only the rows in view, and commands work in it', async () => {
  open('?view=table');
  receive(...Array.from({ length: 2_000 }, (_, index): [string, string, number] => [`d${index}`, 'idle', 1]));
  expect(screen.getByRole('table').getAttribute('aria-rowcount')).toBe('2001');
  expect(rows().length).toBeLessThan(40);
  await user.click(screen.getByRole('button', { name: 'Start device d3' }));
  expect(sent.at(-1)).toMatchObject({ kind: 'publish', topic: 'device/d3/command' });
});

test('of many devices only the first have cards, and the page says how many have none', () => {
  open();
  receive(...Array.from({ length: 503 }, (_, index): [string, string, number] => [`d${index}`, 'idle', 1]));
  expect(screen.getByText(/^3 more have no card here/)).toBeTruthy();
});

test('names are text', () => {
  open('?view=table');
  receive(['<img src=x>', 'idle', 1]);
  expect(rows()).toEqual(['<img src=x>']);
  expect(document.querySelector('img')).toBeNull();
});

describe('selected together', () => {
  const box = (name: string) => screen.getByRole<HTMLInputElement>('checkbox', { name });
  const published = () => sent.filter((message) => message.kind === 'publish');
  const frame = () => {
    act(() => {
      vi.advanceTimersByTime(300);
    });
  };

  async function dialog(name: string): Promise<void> {
    await user.click(screen.getByRole('button', { name }));
    await screen.findByRole('dialog');
  }

  test('one, a range with Shift, and all that a search has found', async () => {
    open('?view=table');
    receive(...['a1', 'a2', 'a3', 'b1'].map((id): [string, string, number] => [id, 'idle', 1]));
    await user.click(box('Select Device a1'));
    await user.keyboard('{Shift>}');
    await user.click(box('Select Device a3'));
    await user.keyboard('{/Shift}');
    expect(screen.getByTestId('selected').textContent).toBe('3 selected');
    await user.type(screen.getByRole('searchbox', { name: 'Search' }), 'b');
    expect(screen.getByTestId('selected').textContent).toBe('3 selected, 3 of them not in this list');
    await user.click(screen.getAllByRole('checkbox', { name: 'Select all 1' })[0] ?? fail());
    expect(screen.getByTestId('selected').textContent).toBe('4 selected, 3 of them not in this list');
    await user.click(screen.getByRole('button', { name: 'Select none' }));
    expect(screen.getByTestId('selected').textContent).toBe('Select all 1');
  });

  test('a command shows what each would get, and sends just that', async () => {
    open('?view=table');
    receive(['1', 'idle', 1], ['2', 'idle', 1]);
    await user.click(screen.getAllByRole('checkbox', { name: 'Select all 2' })[0] ?? fail());
    await dialog('Command…');
    const plan = await screen.findByTestId('plan');
    expect(plan.textContent).toContain('2 messages');
    expect(plan.textContent).toContain('device/2/command{"action":"start"}');
    expect(published()).toEqual([]);
    await user.click(screen.getByRole('button', { name: 'Send to 2 devices' }));
    frame();
    expect(published()).toMatchObject([
      { topic: 'device/1/command', payload: '{"action":"start"}', qos: 1 },
      { topic: 'device/2/command', payload: '{"action":"start"}', qos: 1 },
    ]);
    expect(screen.getByTestId('run').textContent).toContain('all 2 sent');
  });

  test('more than a hundred are sent only when the number is typed', async () => {
    open('?view=table');
    receive(...Array.from({ length: 101 }, (_, index): [string, string, number] => [`d${index}`, 'idle', 1]));
    frame();
    await user.click(screen.getAllByRole('checkbox', { name: 'Select all 101' })[0] ?? fail());
    await dialog('Command…');
    const send = await screen.findByRole('button', { name: 'Send to 101 devices' });
    expect(send.getAttribute('aria-disabled')).toBe('true');
    await user.type(screen.getByLabelText('Type 101 to confirm'), '100{Enter}');
    expect(screen.getByRole('dialog')).toBeTruthy();
    await user.type(screen.getByLabelText('Type 101 to confirm'), '{Backspace}1{Enter}');
    frame();
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(published().length).toBeGreaterThan(0);
  });

  test('what a lost connection has held goes on when there is one again', async () => {
    open('?view=table');
    receive(...Array.from({ length: 80 }, (_, index): [string, string, number] => [`d${index}`, 'idle', 1]));
    frame();
    await user.click(screen.getAllByRole('checkbox', { name: 'Select all 80' })[0] ?? fail());
    await dialog('Command…');
    await user.selectOptions(screen.getByLabelText('At most'), '10 a second');
    await user.click(await screen.findByRole('button', { name: 'Send to 80 devices' }));
    const link = (status: LinkStatus): void => {
      act(() => {
        deliver({ kind: 'status', status });
        vi.advanceTimersByTime(1_000);
      });
    };
    link({ phase: 'waiting', retryAt: NOW, attempt: 1, reason: 'gone' });
    const before = published().length;
    await user.click(screen.getByRole('button', { name: 'Go on' }));
    act(() => {
      vi.advanceTimersByTime(1_000);
    });
    expect(published()).toHaveLength(before);
    link({ phase: 'connected', since: NOW, refused: [] });
    await user.click(screen.getByRole('button', { name: 'Go on' }));
    act(() => {
      vi.advanceTimersByTime(1_000);
    });
    expect(published().length).toBeGreaterThan(before);
  });

  test('tags are retained at the topic of each', async () => {
    open('?view=table');
    receive(['1', 'idle', 1], ['2', 'idle', 1]);
    await user.click(box('Select Device 2'));
    await dialog('Tags…');
    await user.type(screen.getByLabelText('Add'), 'hall, north');
    await user.click(screen.getByRole('button', { name: 'Send to 1 device' }));
    frame();
    expect(published()).toMatchObject([
      { topic: 'device/2/tags', payload: '["hall","north"]', retain: true },
    ]);
  });
});

function fail(): never {
  throw new Error('it is not there');
}
