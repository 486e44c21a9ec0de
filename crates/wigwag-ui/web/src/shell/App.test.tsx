import { act, fireEvent, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { useEffect } from 'react';
import type { NavigateFunction } from 'react-router';
import { MemoryRouter, useLocation, useNavigate } from 'react-router';
import { beforeEach, describe, expect, test } from 'vitest';

import { usePrefixes } from '../devices/sources/home-assistant/prefixes.ts';
import type { FromWorker, LinkStatus, ToWorker } from '../mqtt/protocol.ts';
import { Stations, StationsProvider } from '../stations.ts';
import { brokerAt } from '../testing.ts';
import { App } from './App.tsx';
import { useOverlay } from './overlay.ts';
import { useSettings } from './settings.ts';
import { ShownStation } from './ShownStation.tsx';

let sent: ToWorker[];
let deliver: (message: FromWorker) => void;
let ended: number;

beforeEach(() => {
  localStorage.clear();
  useOverlay.setState(useOverlay.getInitialState());
  useSettings.setState(useSettings.getInitialState());
  usePrefixes.setState(usePrefixes.getInitialState());
  sent = [];
  ended = 0;
});

let navigateTo: NavigateFunction;

function Address() {
  const { pathname, search } = useLocation();
  const navigate = useNavigate();
  useEffect(() => {
    navigateTo = navigate;
  }, [navigate]);
  return <output data-testid="address">{pathname + search}</output>;
}

function open(address = '/devices', from: 'server' | 'address' = 'server'): void {
  const openPort = () => ({
    post: (message: ToWorker) => sent.push(message),
    listen: (listener: (message: FromWorker) => void) => (deliver = listener),
    end: () => (ended += 1),
  });
  render(
    <StationsProvider value={new Stations(openPort, [brokerAt('ws://b.example:9001', { from })])}>
      <MemoryRouter initialEntries={[address]}>
        <ShownStation>
          <App />
        </ShownStation>
        <Address />
      </MemoryRouter>
    </StationsProvider>,
  );
}

async function hear(status: LinkStatus): Promise<void> {
  await act(async () => {
    deliver({ kind: 'status', status });
    await new Promise((resolve) => requestAnimationFrame(resolve));
  });
}

function address(): string | null {
  return screen.getByTestId('address').textContent;
}

describe('the address', () => {
  test('of the root leads to the devices, with the broker of the tab', () => {
    open('/?broker=ws%3A%2F%2Fx%3A1&q=7');
    expect(address()).toBe('/devices?broker=ws%3A%2F%2Fx%3A1');
  });

  test('of no page says so, as text', () => {
    open('/<b>x</b>');
    expect(screen.getByRole('heading', { name: 'Page not found' })).toBeTruthy();
    expect(within(screen.getByRole('main')).getByText('/<b>x</b>')).toBeTruthy();
  });
});

describe('keys', () => {
  test('g s opens the settings, which arrive with the focus', async () => {
    open();
    await userEvent.keyboard('gs');
    expect(await screen.findByRole('heading', { name: 'Settings' })).toBeTruthy();
    expect(address()).toBe('/settings');
    expect(document.activeElement).toBe(screen.getByRole('main'));
  });

  test('a g that is pressed before a screen has come in counts on it', async () => {
    open();
    fireEvent.keyDown(document.body, { key: 'g' });
    act(() => {
      void navigateTo('/no/such/page');
    });
    fireEvent.keyDown(document.body, { key: 's' });
    expect(await screen.findByRole('heading', { name: 'Settings' })).toBeTruthy();
  });

  test('? shows them, and in the dialog no other works', async () => {
    open();
    await userEvent.keyboard('?');
    const dialog = await screen.findByRole('dialog', { name: 'Keys' });
    expect(within(dialog).getByText('Go to Devices')).toBeTruthy();
    await userEvent.keyboard('gs');
    expect(address()).toBe('/devices');
  });

  test('/ opens the palette where a page has no search field', async () => {
    open('/settings');
    await screen.findByRole('heading', { name: 'Settings' });
    await userEvent.keyboard('/');
    expect(screen.getByRole('combobox')).toBeTruthy();
  });
});

describe('the palette', () => {
  test('goes to a page with arrow keys and Enter', async () => {
    open();
    await userEvent.keyboard('{Control>}k{/Control}');
    const field = screen.getByRole('combobox');
    await userEvent.type(field, 'sett');
    const chosen = screen.getByRole('option', { selected: true });
    expect(chosen.textContent).toContain('Settings');
    expect(field.getAttribute('aria-activedescendant')).toBe(chosen.id);
    await userEvent.keyboard('{Enter}');
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(address()).toBe('/settings');
  });

  test('wraps around, and says when nothing is called that', async () => {
    open();
    await userEvent.keyboard('{Control>}k{/Control}');
    const options = screen.getAllByRole('option');
    await userEvent.keyboard('{ArrowUp}');
    expect(screen.getByRole('option', { selected: true })).toBe(options.at(-1));
    await userEvent.keyboard('{ArrowDown}');
    expect(screen.getByRole('option', { selected: true })).toBe(options[0]);
    await userEvent.type(screen.getByRole('combobox'), '<b>');
    expect(screen.getByText('Nothing is called that.')).toBeTruthy();
    await userEvent.keyboard('{Enter}');
    expect(screen.getByRole('dialog')).toBeTruthy();
  });

  test('changes the theme', async () => {
    open();
    await userEvent.keyboard('{Control>}k{/Control}');
    await userEvent.click(screen.getByRole('option', { name: /^Dark theme/ }));
    expect(document.documentElement.dataset.theme).toBe('dark');
  });
});

describe('a broker that refuses', () => {
  const refusal = { phase: 'login', reason: 'Connection refused: Not authorized' } as const;

  test('is given what the user types, which is stored nowhere', async () => {
    open();
    await hear({ ...refusal });
    const dialog = await screen.findByRole('dialog', { name: 'Log in to the broker' });
    expect(within(dialog).queryByText(/^The broker refused this/)).toBeNull();
    await userEvent.type(within(dialog).getByLabelText('User name'), 'ada');
    await userEvent.type(within(dialog).getByLabelText('Password'), 'secret{Enter}');
    expect(sent.at(-1)).toEqual({ kind: 'login', credentials: { userName: 'ada', password: 'secret' } });
    for (const storage of [localStorage, sessionStorage]) {
      expect(JSON.stringify(Object.entries(storage))).not.toContain('secret');
    }
    expect(document.body.innerHTML).not.toContain('secret');

    await hear({ phase: 'connecting', attempt: 1 });
    await hear({ ...refusal });
    expect(screen.getByText(/^The broker refused this user name and password/)).toBeTruthy();
    await hear({ phase: 'connected', since: Date.now(), refused: [] });
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  test('and lets the same user in again at once is asked no more', async () => {
    open('/settings');
    await hear({ phase: 'connected', since: 1, refused: [] });
    await userEvent.click(await screen.findByRole('button', { name: 'Log in' }));
    await userEvent.type(await screen.findByLabelText('User name'), 'ada{Enter}');
    await hear({ phase: 'connected', since: 2, refused: [] });
    await userEvent.click(await screen.findByRole('button', { name: 'Log in as somebody else' }));
    await userEvent.type(await screen.findByLabelText('Password'), 'secret{Enter}');
    expect(ended).toBe(1);
    deliver({ kind: 'status', status: { phase: 'connecting', attempt: 1 } });
    await hear({ phase: 'connected', since: 3, refused: [] });
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  test('can be left alone, and asked again from the banner', async () => {
    open();
    await hear({ ...refusal });
    await userEvent.click(await screen.findByRole('button', { name: 'Not now' }));
    expect(screen.queryByRole('dialog')).toBeNull();
    await userEvent.click(within(screen.getByTestId('banner')).getByRole('button', { name: 'Log in' }));
    expect(await screen.findByRole('dialog')).toBeTruthy();
  });

  test('and is a stranger comes with a warning', async () => {
    open('/devices', 'address');
    await hear({ ...refusal });
    expect(await screen.findByText(/^The address of this page names this broker/)).toBeTruthy();
    expect(screen.getByLabelText('Password').getAttribute('autocomplete')).toBe('off');
  });
});

describe('the settings', () => {
  test('turn single keys off, which the help sheet says', async () => {
    open('/settings');
    await userEvent.click(await screen.findByRole('radio', { name: 'Off' }));
    await userEvent.keyboard('gd');
    expect(address()).toBe('/settings');
    await userEvent.click(screen.getByRole('button', { name: 'Show the keys' }));
    expect(await screen.findByText(/^Single keys are turned off/)).toBeTruthy();
  });

  test('take no address that a browser cannot connect to', async () => {
    open('/settings');
    const field = await screen.findByLabelText('Address');
    await userEvent.clear(field);
    await userEvent.type(field, 'mqtt://b:1883{Enter}');
    expect(field.getAttribute('aria-invalid')).toBe('true');
    expect(screen.getByText(/must begin with ws:\/\/ or wss:\/\//)).toBeTruthy();
  });

  test('say below which prefix Home Assistant is followed, and refuse one that no topic begins with', async () => {
    open('/settings');
    const field = await screen.findByLabelText('Discovery prefix');
    expect(field).toHaveProperty('value', 'homeassistant');
    expect(screen.getByRole('button', { name: 'Use this prefix' }).getAttribute('aria-disabled')).toBe(
      'true',
    );
    await userEvent.clear(field);
    await userEvent.type(field, 'lab/#{Enter}');
    expect(field.getAttribute('aria-invalid')).toBe('true');
    expect(screen.getByRole('alert').textContent).toContain('neither + nor #');
    expect(usePrefixes.getState().prefixes).toEqual([]);
    await userEvent.type(field, '{Backspace}{Backspace} {Enter}');
    expect(usePrefixes.getState().prefixes).toEqual([['ws://b.example:9001', 'lab']]);
    expect(field).toHaveProperty('value', 'lab');
    await userEvent.click(screen.getByRole('button', { name: 'Back to homeassistant' }));
    expect(usePrefixes.getState().prefixes).toEqual([]);
    expect(field).toHaveProperty('value', 'homeassistant');
  });

  test('log out, and say who we are', async () => {
    open('/settings');
    await screen.findByText('To the broker you are nobody in particular.');
    await userEvent.click(screen.getByRole('button', { name: 'Log in' }));
    await userEvent.type(await screen.findByLabelText('User name'), '<i>ada</i>{Enter}');
    await hear({ phase: 'connected', since: Date.now(), refused: [] });
    expect(screen.getByTestId('user').textContent).toBe('To the broker you are <i>ada</i>.');
    sent = [];
    await userEvent.click(screen.getByRole('button', { name: 'Log out' }));
    await screen.findByText('To the broker you are nobody in particular.');
    expect(sent.map(({ kind }) => kind)).toEqual(['connect']);
  });
});

test('Escape closes a dialog', async () => {
  open();
  await userEvent.keyboard('?');
  fireEvent(await screen.findByRole('dialog'), new Event('cancel', { cancelable: true }));
  expect(screen.queryByRole('dialog')).toBeNull();
});
