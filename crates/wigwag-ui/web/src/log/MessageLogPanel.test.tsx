import { act, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { MessageLog } from './message-log.ts';
import { MessageLogPanel } from './MessageLogPanel.tsx';

let log: MessageLog;
let user: ReturnType<typeof userEvent.setup>;

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime });
  log = new MessageLog();
  render(<MessageLogPanel log={log} />);
});

function add(topic: string, text: string, problem?: string): void {
  act(() => {
    log.add({ at: 0, direction: 'in', topic, text, bytes: text.length, retain: false, qos: 0, problem });
    vi.advanceTimersToNextFrame();
  });
}

async function press(name: string | RegExp): Promise<void> {
  await user.click(screen.getByRole('button', { name }));
  act(() => {
    vi.advanceTimersToNextFrame();
  });
}

function topics(): (string | undefined)[] {
  return screen.queryAllByRole('option').map((row) => /t\/\d+/.exec(row.textContent)?.[0]);
}

test('shows the newest first, as text', () => {
  add('t/1', 'one');
  add('t/2', '<img src=x>');
  expect(topics()).toEqual(['t/2', 't/1']);
  expect(screen.getByText('<img src=x>')).toBeTruthy();
  expect(document.querySelector('img')).toBeNull();
});

test('a mark that turns the direction of text turns neither a topic nor a payload into another', async () => {
  add('device/\u202eetats/cba', 'a\n\u202eb');
  const row = screen.getByRole('option');
  expect(row.textContent).toContain('device/⟨202E⟩etats/cba');
  expect(row.textContent).toContain('a ⟨202E⟩b');
  await user.click(row);
  expect(screen.getAllByText('device/⟨202E⟩etats/cba')).toHaveLength(2);
});

test('draws only the rows in view', () => {
  for (let index = 0; index < 500; index++) add(`t/${index}`, 'x');
  expect(topics().length).toBeLessThan(40);
  expect(topics()[0]).toBe('t/499');
  expect(screen.getByTestId('log-count').textContent).toBe('500');
});

test('pauses with a count of what came meanwhile', async () => {
  add('t/1', 'one');
  await press('Pause');
  add('t/2', 'two');
  expect(topics()).toEqual(['t/1']);
  await press('Paused, 1 new');
  expect(topics()).toEqual(['t/2', 't/1']);
});

test('is cleared', async () => {
  add('t/1', 'one');
  await press('Clear');
  expect(topics()).toEqual([]);
  expect(screen.getByText('No messages')).toBeTruthy();
});

test('shows the invalid ones alone on demand', async () => {
  add('t/1', 'good');
  add('t/2', 'bad', 'the payload is not JSON');
  await press('1 invalid');
  expect(topics()).toEqual(['t/2']);
});

test('opens a message by keyboard and explains it', async () => {
  add('t/1', '{"a":1}');
  add('t/2', 'bad', 'the payload is not JSON');
  screen.getByRole('listbox').focus();
  await user.keyboard('{ArrowDown}');
  const detail = screen.getByRole('region', { name: 'Selected message' });
  expect(within(detail).getByText('Invalid: the payload is not JSON')).toBeTruthy();
  await user.keyboard('{ArrowDown}');
  expect(within(detail).getByText('{ "a": 1 }')).toBeTruthy();
  await press('Close the message');
  expect(screen.queryByRole('region', { name: 'Selected message' })).toBeNull();
});
