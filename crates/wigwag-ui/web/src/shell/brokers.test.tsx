import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter, useLocation } from 'react-router';
import { beforeEach, expect, test } from 'vitest';

import type { FromWorker, LinkStatus, ToWorker } from '../mqtt/protocol.ts';
import { Stations, StationsProvider } from '../stations.ts';
import { brokerAt } from '../testing.ts';
import { App } from './App.tsx';
import { KEPT_MAX, useKeptBrokers } from './kept-brokers.ts';
import { useOverlay } from './overlay.ts';
import { ShownStation } from './ShownStation.tsx';

let deliver: Map<string, (message: FromWorker) => void>;

beforeEach(() => {
  localStorage.clear();
  useKeptBrokers.setState(useKeptBrokers.getInitialState());
  useOverlay.setState(useOverlay.getInitialState());
  deliver = new Map();
});

/** Each worker is known by the address that it is told to connect to. */
function openPort() {
  let listener: (message: FromWorker) => void = () => undefined;
  return {
    post: (message: ToWorker) => {
      if (message.kind === 'connect')
        deliver.set(message.url, (told) => {
          listener(told);
        });
    },
    listen: (listen: (message: FromWorker) => void) => (listener = listen),
    end: () => undefined,
  };
}

function Address() {
  const { pathname, search } = useLocation();
  return <output data-testid="address">{pathname + search}</output>;
}

function open(address: string): void {
  const stations = new Stations(openPort, [
    brokerAt('ws://a', { name: 'hall' }),
    brokerAt('ws://b', { name: '<b>yard</b>' }),
  ]);
  useKeptBrokers.subscribe(({ kept }) => {
    stations.keep(kept);
  });
  render(
    <StationsProvider value={stations}>
      <MemoryRouter initialEntries={[address]}>
        <ShownStation>
          <App />
        </ShownStation>
        <Address />
      </MemoryRouter>
    </StationsProvider>,
  );
}

async function frame(): Promise<void> {
  await act(() => new Promise((resolve) => requestAnimationFrame(resolve)));
}

async function hear(url: string, status: LinkStatus): Promise<void> {
  act(() => {
    deliver.get(url)?.({ kind: 'status', status });
  });
  await frame();
}

function address(): string | null {
  return screen.getByTestId('address').textContent;
}

const CONNECTED: LinkStatus = { phase: 'connected', since: 0, refused: [] };

test('the list opens all brokers and shows how they are', async () => {
  open('/settings');
  const pill = await screen.findByTestId('connection');
  expect(pill.textContent).toContain('hall');
  expect([...deliver.keys()]).toEqual(['ws://a']);
  await userEvent.click(pill);
  const dialog = await screen.findByRole('dialog', { name: 'Brokers' });
  await hear('ws://a', CONNECTED);
  await hear('ws://b', { phase: 'waiting', retryAt: Date.now() + 4_000, attempt: 1, reason: 'nobody there' });
  await within(dialog).findByText('nobody there');
  const [first, second] = within(dialog).getAllByRole('listitem');
  expect(first?.textContent).toContain('Connected');
  expect(second?.textContent).toMatch(/Reconnecting in \d s/);
  expect(second?.textContent).toContain('nobody there');
  expect(within(dialog).getByRole('button', { current: true }).textContent).toContain('hall');
});

test('a choice leads to the same screen of the other broker, and the way back is kept', async () => {
  open('/devices/1?q=x');
  await userEvent.click(await screen.findByTestId('connection'));
  await userEvent.click(await screen.findByRole('button', { name: /yard/ }));
  expect(address()).toBe('/devices?broker=%3Cb%3Eyard%3C%2Fb%3E');
  expect((await screen.findByTestId('connection')).textContent).toContain('<b>yard</b>');
  expect(screen.queryByRole('dialog')).toBeNull();
  await hear('ws://b', CONNECTED);
  await waitFor(() => {
    expect(screen.getByTestId('connection').dataset.phase).toBe('connected');
  });
});

test('the palette finds the other brokers', async () => {
  open('/settings');
  await screen.findByTestId('connection');
  await userEvent.keyboard('{Control>}k{/Control}');
  await userEvent.type(screen.getByRole('combobox'), 'yard{Enter}');
  expect(address()).toContain('?broker=');
});

test('a broker is added by its address, shown, and removed', async () => {
  open('/settings');
  const field = await screen.findByLabelText('Address');
  await userEvent.type(field, 'wss://me:secret@x.example/mqtt{Enter}');
  expect(screen.getByText(/^Leave user name and password out/)).toBeTruthy();
  await userEvent.clear(field);
  await userEvent.type(field, 'wss://x.example/mqtt{Enter}');
  await userEvent.click(await screen.findByRole('button', { name: 'Show x.example' }));
  expect(address()).toBe('/settings?broker=x.example');
  expect(deliver.has('wss://x.example/mqtt')).toBe(true);
  await userEvent.click(await screen.findByRole('button', { name: 'Remove x.example' }));
  await waitFor(() => {
    expect(screen.queryByText('wss://x.example/mqtt')).toBeNull();
  });
  expect(address()).toBe('/settings');
});

test('of what the address names, no password is kept or shown again', async () => {
  open('/settings?broker=ws%3A%2F%2Fme%3Asecret%40x');
  const banner = await screen.findByTestId('banner');
  expect(banner.textContent).toMatch(/user name and password out of the address/);
  expect(banner.textContent).not.toContain('secret');
  expect(screen.queryByRole('button', { name: /^Keep/ })).toBeNull();
  expect(deliver.size).toBe(0);
});

test('no more is kept of what addresses name than there is room for', async () => {
  const kept = Array.from({ length: KEPT_MAX }, (_, at) => ({ name: String(at), url: `ws://host${at}` }));
  useKeptBrokers.setState({ kept });
  open('/settings?broker=ws%3A%2F%2Fx%3A9');
  await userEvent.click(await screen.findByRole('button', { name: 'Keep ws://x:9' }));
  await screen.findByText(/^This browser keeps 32 brokers/);
  expect(useKeptBrokers.getState().kept).toHaveLength(KEPT_MAX);
});

test('what the address names can be kept', async () => {
  open('/settings?broker=ws%3A%2F%2Fx%3A9');
  expect(await screen.findByText('From the address of this page')).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Keep ws://x:9' }));
  expect(await screen.findByText('Kept in this browser')).toBeTruthy();
  expect(useKeptBrokers.getState().kept).toEqual([{ name: 'x:9', url: 'ws://x:9' }]);
});

async function logInAs(name: string): Promise<void> {
  await userEvent.type(await screen.findByLabelText('User name'), `${name}{Enter}`);
}

test('a first login leaves what the address says, and that of somebody else does not', async () => {
  open('/devices/1?q=x&broker=hall');
  await hear('ws://a', { phase: 'login', reason: 'Not authorized' });
  await logInAs('ada');
  expect(address()).toBe('/devices/1?q=x&broker=hall');
  await hear('ws://a', CONNECTED);
  expect(screen.queryByRole('dialog')).toBeNull();
  await userEvent.keyboard('{Control>}k{/Control}');
  await userEvent.type(screen.getByRole('combobox'), 'log in{Enter}');
  await userEvent.clear(await screen.findByLabelText('User name'));
  await logInAs('joe');
  await waitFor(() => {
    expect(address()).toBe('/devices');
  });
  // The dialog waits for the answer to its form, in the page of the next user.
  expect(await screen.findByRole('button', { name: 'Logging in…' })).toBeTruthy();
  await hear('ws://a', { phase: 'login', reason: 'Not authorized' });
  expect(await screen.findByText(/^The broker refused this user name and password/)).toBeTruthy();
  await hear('ws://a', CONNECTED);
  expect(screen.queryByRole('dialog')).toBeNull();
});
