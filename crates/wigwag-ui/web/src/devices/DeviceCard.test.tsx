import { act, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from 'react-router';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import type { ConnectionView } from '../mqtt/connection.ts';
import type { Command } from './command-store.ts';
import { DeviceCard } from './DeviceCard.tsx';
import type { Device } from './model.ts';
import { deviceWith } from './testing.ts';

const NOW = new Date('2026-01-01T12:00:00Z').getTime();
const CONNECTED: ConnectionView = {
  url: 'ws://b',
  status: { phase: 'connected', since: NOW - 60_000, refused: [] },
  downSince: undefined,
};
const LOST: ConnectionView = {
  url: 'ws://b',
  status: { phase: 'waiting', retryAt: NOW + 3_000, attempt: 1, reason: '' },
  downSince: NOW,
};
const DEVICE = deviceWith({ id: '7', temperature: 37.46, at: NOW });

const ASK = { key: 'start', name: 'Start', ongoing: 'Starting…', done: 'Started' };
const SENT = { ask: ASK, correlation: 'c', sentAt: NOW } as const;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
});

function show(changes: { device?: Partial<Device>; link?: ConnectionView; command?: Command } = {}) {
  const onCommand = vi.fn();
  render(
    <MemoryRouter>
      <DeviceCard
        device={{ ...DEVICE, ...changes.device }}
        link={changes.link ?? CONNECTED}
        command={changes.command}
        onCommand={onCommand}
      />
    </MemoryRouter>,
  );
  return onCommand;
}

function advance(ms: number): void {
  act(() => {
    vi.advanceTimersByTime(ms);
  });
}

describe('shows', () => {
  test('state, temperature, presence and age', () => {
    show();
    expect(screen.getByRole('article', { name: 'Device 7' })).toBeTruthy();
    expect(screen.getByTestId('value').textContent).toBe('37.5°C');
    expect(screen.getByTestId('status').textContent).toBe('Running');
    expect(screen.getByTestId('health').textContent).toBe('Online');
    expect(screen.getByText('Updated just now')).toBeTruthy();
  });

  test('its age ticking, and itself as stale after 6 s', () => {
    show();
    advance(3_100);
    expect(screen.getByText('Updated 3 s ago')).toBeTruthy();
    advance(3_500);
    expect(screen.getByTestId('health').textContent).toBe('Stale 6 s');
  });

  test('since when it is stale while there is no connection', () => {
    show({ link: LOST });
    expect(screen.getByTestId('health').textContent).toMatch(/^Stale since \d\d:\d\d:\d\d$/);
  });

  test('how many messages were invalid', () => {
    show({ device: { invalid: 3 } });
    expect(screen.getByText('3 invalid')).toBeTruthy();
  });

  test('a name that looks like HTML as what it is', () => {
    show({ device: { name: '<b>x</b>' } });
    expect(screen.getByRole('heading').textContent).toBe('Device <b>x</b>');
  });
});

describe('commands', () => {
  test('are sent by their buttons, by keyboard too', async () => {
    const user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime });
    const onCommand = show();
    await user.click(screen.getByRole('button', { name: 'Stop device 7' }));
    screen.getByRole('button', { name: 'Start device 7' }).focus();
    await user.keyboard('{Enter}');
    const [start, stop] = DEVICE.controls;
    expect(onCommand.mock.calls).toEqual([
      [DEVICE, stop, 'idle'],
      [DEVICE, start, 'running'],
    ]);
  });

  test.each([
    ['there is no connection', { link: LOST }],
    ['one is pending', { command: { ...SENT, phase: 'pending' } as const }],
  ])('are not sent while %s', async (_name, changes) => {
    const user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime, pointerEventsCheck: 0 });
    const onCommand = show(changes);
    for (const button of screen.getAllByRole('button')) {
      expect(button.getAttribute('aria-disabled')).toBe('true');
      await user.click(button);
    }
    expect(onCommand).not.toHaveBeenCalled();
  });

  test.each<[Command, string]>([
    [{ ...SENT, phase: 'pending' }, 'Starting…'],
    [{ ...SENT, phase: 'confirmed', by: 'reply', tookMs: 84 }, 'Started · 84 ms'],
    [{ ...SENT, phase: 'rejected', error: '<i>no</i>' }, 'Start rejected: <i>no</i>'],
    [{ ...SENT, phase: 'timed-out' }, 'Start timed out: no reply within 5 s'],
    [{ ...SENT, phase: 'interrupted' }, 'Start unconfirmed: the connection was lost'],
  ])('end as %j', (command, text) => {
    show({ command });
    expect(screen.getByText(text)).toBeTruthy();
  });
});
