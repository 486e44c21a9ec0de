import { act, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter, Route, Routes, useLocation } from 'react-router';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { FromWorker, Incoming, ToWorker } from '../../mqtt/protocol.ts';
import { Station, StationProvider } from '../../station.ts';
import { brokerAt } from '../../testing.ts';
import { configFilters } from '../sources/home-assistant/config-topics.ts';
import { HomeAssistantSource } from '../sources/home-assistant/home-assistant-source.ts';
import { DevicePage } from './DevicePage.tsx';
import { useTemplates } from './templates.ts';

// It draws on a canvas, which there is none of here; what it is told, it tells to screen readers too.
vi.mock('../../ui/chart/Chart.tsx', () => ({
  Chart: ({ label }: { label: string }) => <div role="img" aria-label={label} />,
}));

const NOW = new Date('2026-01-01T12:00:00Z').getTime();

let sent: ToWorker[];
let deliver: (message: FromWorker) => void;
let user: ReturnType<typeof userEvent.setup>;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
  localStorage.clear();
  useTemplates.setState(useTemplates.getInitialState());
  user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime });
  sent = [];
});

function Address() {
  const { pathname, search } = useLocation();
  return <output data-testid="address">{pathname + search}</output>;
}

function open(address = '/devices/1', broker = brokerAt('ws://b')): Station {
  const port = {
    post: (message: ToWorker) => sent.push(message),
    listen: (listener: (message: FromWorker) => void) => (deliver = listener),
    end: () => undefined,
  };
  const station = new Station(port, broker, { clientId: 'me' });
  deliver({ kind: 'status', status: { phase: 'connected', since: NOW, refused: [] } });
  render(
    <StationProvider value={station}>
      <MemoryRouter initialEntries={[address]}>
        <Routes>
          <Route path="/devices/:id" element={<DevicePage />} />
        </Routes>
        <Address />
      </MemoryRouter>
    </StationProvider>,
  );
  return station;
}

function receive(topic: string, payload: unknown, more: Partial<Incoming> = {}): void {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const message = {
    topic,
    text,
    bytes: text.length,
    retain: false,
    qos: 0,
    at: Date.now(),
    ...more,
  } as const;
  act(() => {
    deliver({ kind: 'messages', messages: [message], skipped: 0 });
    vi.advanceTimersToNextFrame();
  });
}

function receiveState(id: string, changes: object = {}): void {
  const state = { deviceId: id, status: 'idle', temperature: 37.46, timestamp: Date.now() / 1_000 };
  receive(`device/${id}/state`, { ...state, ...changes });
}

function nextFrame(): void {
  act(() => {
    vi.advanceTimersToNextFrame();
  });
}

function field(path: string): string | null | undefined {
  return document.querySelector(`[data-field="${path}"] dd`)?.textContent;
}

function lastPublished() {
  return sent.findLast((message) => message.kind === 'publish');
}

describe('a device', () => {
  test('that is unknown is waited for', () => {
    open();
    expect(screen.getByText(/appears here as soon as|has published a state/)).toBeTruthy();
    receiveState('1');
    expect(field('temperature')).toBe('37.5°C');
  });

  test('has every field of its state, as text, and a chart for every number', () => {
    open();
    receiveState('1', { battery: { voltage: 3.7 }, note: '<img src=x>' });
    expect(field('status')).toBe('idle');
    expect(field('battery.voltage')).toBe('3.7');
    expect(field('note')).toBe('<img src=x>');
    expect(field('deviceId')).toBeUndefined();
    expect(document.querySelector('img')).toBeNull();
    expect(screen.getAllByRole('img').map((chart) => chart.getAttribute('aria-label'))).toEqual([
      'temperature over time. Lowest 37.46 °C · mean 37.46 °C · highest 37.46 °C',
      'battery.voltage over time. Lowest 3.7 · mean 3.7 · highest 3.7',
    ]);
  });

  test('whose name is no good in an address is found by it', () => {
    open(`/devices/${encodeURIComponent('50% <b>')}`);
    receiveState('50% <b>');
    expect(screen.getByRole('heading', { level: 1, name: 'Device 50% <b>' })).toBeTruthy();
    expect(field('temperature')).toBe('37.5°C');
  });

  test('that is gone says so, and since when it was silent', () => {
    open();
    receiveState('1');
    act(() => {
      vi.advanceTimersByTime(180_000);
    });
    receive('device/1/online', 'false');
    expect(screen.getByText('The broker says that the device is gone: last state 3 min ago.')).toBeTruthy();
  });
});

test('the span of the charts is in the address', async () => {
  open('/devices/1?range=1h&broker=ws%3A%2F%2Fb');
  receiveState('1');
  expect(screen.getByRole('radio', { name: '1 h' }).getAttribute('aria-checked')).toBe('true');
  await user.click(screen.getByRole('radio', { name: '15 min' }));
  expect(screen.getByTestId('address').textContent).toBe('/devices/1?range=15m&broker=ws%3A%2F%2Fb');
});

test('paused charts stand still and record on', async () => {
  open();
  receiveState('1');
  await user.click(within(section('Charts')).getByRole('button', { name: 'Pause' }));
  act(() => {
    vi.advanceTimersByTime(2_000);
  });
  receiveState('1', { temperature: 99 });
  expect(screen.getByRole('img').getAttribute('aria-label')).toContain('highest 37.46');
  await user.click(within(section('Charts')).getByRole('button', { name: 'Resume' }));
  act(() => {
    vi.advanceTimersByTime(1_000);
  });
  expect(screen.getByRole('img').getAttribute('aria-label')).toContain('highest 99');
});

describe('the messages', () => {
  test('are those of the device alone, with the time that an answer took', async () => {
    open();
    receiveState('1');
    receiveState('2');
    await user.click(screen.getByRole('button', { name: 'Start device 1' }));
    const command = lastPublished();
    const correlation = command?.correlation ?? '';
    receive('device/1/command', '{"action":"start"}', { correlation });
    const reply = { deviceId: '1', ok: true, status: 'running' };
    receive('dashboard/me/reply', reply, { correlation, at: Date.now() + 84 });
    const rows = within(screen.getByTestId('log')).getAllByRole('option');
    expect(rows.map((row) => /(device|dashboard)\/\w+\/\w+/.exec(row.textContent)?.[0])).toEqual([
      'dashboard/me/reply',
      'device/1/command',
      'device/1/state',
    ]);
    expect(rows[0]?.textContent).toMatch(/\+\d+ ms/);
  });
});

describe('a command of the user’s own', () => {
  test('is sent as it is typed, with where to answer, by keyboard too', async () => {
    open();
    receiveState('1');
    await type('{{"action":"blink"}');
    await user.keyboard('{Control>}{Enter}{/Control}');
    nextFrame();
    expect(lastPublished()).toMatchObject({
      topic: 'device/1/command',
      payload: '{"action":"blink"}',
      qos: 1,
      responseTopic: 'dashboard/me/reply',
    });
    expect(screen.getByText('Sending…')).toBeTruthy();
  });

  test('that is not JSON is not sent, and says why', async () => {
    open();
    receiveState('1');
    await type('blink');
    await user.keyboard('{Control>}{Enter}{/Control}');
    expect(screen.getByText(/^Not JSON: /)).toBeTruthy();
    expect(lastPublished()).toBeUndefined();
  });

  test('can be kept, taken again and removed', async () => {
    open();
    receiveState('1');
    await type('{{"action":"blink"}');
    await user.type(screen.getByRole('textbox', { name: 'Keep it as a template' }), 'Blink{Enter}');
    await type('{{}');
    await user.click(screen.getByRole('button', { name: /^Use Blink/ }));
    expect(commandField().value).toBe('{"action":"blink"}');
    await user.click(screen.getByRole('button', { name: 'Remove the template Blink' }));
    expect(screen.queryByRole('list', { name: 'Templates' })).toBeNull();
  });
});

test('what the broker keeps of the device is listed, and the subscription for it ends', () => {
  open();
  receiveState('1');
  expect(sent).toContainEqual({ kind: 'subscribe', filter: 'device/1/#' });
  receive('device/1/config', '{"every":2}', { retain: true });
  expect(within(section('Retained topics')).getByText('device/1/config')).toBeTruthy();
  act(() => {
    vi.advanceTimersByTime(5_000);
  });
  expect(sent).toContainEqual({ kind: 'unsubscribe', filter: 'device/1/#' });
});

describe('with a broker that remembers', () => {
  /** What the broker says to questions that begin so. */
  function serve(answers: Record<string, { status?: number; body: unknown }>): string[] {
    const asked: string[] = [];
    vi.stubGlobal('fetch', (url: URL) => {
      const path = `${url.pathname.replace(/^.*\/api/, '/api')}?${decodeURIComponent(url.searchParams.toString())}`;
      asked.push(path);
      const found = Object.entries(answers).find(([begin]) => path.startsWith(begin));
      const { status = 200, body } = found?.[1] ?? { status: 404, body: { error: 'nothing there' } };
      return Promise.resolve(new Response(JSON.stringify(body), { status }));
    });
    return asked;
  }

  const BROKER = brokerAt('ws://b', { api: 'api/v1' });

  /** Lets answers come that are there already. */
  async function settle(): Promise<void> {
    await act(() => vi.advanceTimersByTimeAsync(100));
  }

  afterEach(() => {
    vi.unstubAllGlobals();
  });

  function stateAt(at: number, temperature: number) {
    const state = { deviceId: '1', status: 'idle', temperature, timestamp: at / 1_000 };
    return { at, qos: 0, retain: false, payload: JSON.stringify(state) };
  }

  test('charts and messages begin before the page did', async () => {
    const messages = [stateAt(NOW - 120_000, 20), stateAt(NOW - 60_000, 30)];
    const asked = serve({
      '/api/v1/history?topic=device/1/state': {
        body: { topic: 'device/1/state', recordedSince: NOW - 240_000, messages, next: null },
      },
      '/api/v1/history?topic=device/1/command': {
        body: {
          recordedSince: NOW - 240_000,
          messages: [{ at: NOW - 90_000, qos: 1, retain: false, payload: '{"action":"start"}' }],
        },
      },
      '/api/v1/history': { body: { recordedSince: NOW - 240_000, recorded: false, messages: [] } },
    });
    open('/devices/1', BROKER);
    receiveState('1', { temperature: 25 });
    await settle();
    expect(asked[0]).toContain('/api/v1/history?topic=device/1/state&from=');
    expect(screen.getByRole('img').getAttribute('aria-label')).toContain(
      'Lowest 20 °C · mean 25 °C · highest 30 °C',
    );
    const rows = within(screen.getByTestId('log')).getAllByRole('option');
    expect(rows.map((row) => /(state|command|online)/.exec(row.textContent)?.[0])).toEqual([
      'state',
      'state',
      'command',
      'state',
    ]);
    // What is not recorded is not asked for again.
    expect(asked.filter((path) => path.startsWith('/api/v1/history?topic=device/1/online'))).toHaveLength(1);
    expect(screen.getByText(/Recorded by the broker since/)).toBeTruthy();
  });

  test('what is recorded is read of topics that are told later, too', async () => {
    const asked = serve({ '/api/v1/history': { body: { recordedSince: NOW - 240_000, messages: [] } } });
    const station = open('/devices/ha%2Froom', BROKER);
    station.listenTo({
      filters: configFilters('homeassistant'),
      root: 'homeassistant/',
      load: () => Promise.resolve((tools) => new HomeAssistantSource(tools, 'homeassistant')),
    });
    const about = { dev: { ids: ['room'], name: 'Room' } };
    for (const name of ['heat', 'damp']) {
      receive(`homeassistant/sensor/${name}/config`, { ...about, state_topic: `room/${name}`, name });
      await settle();
      expect(asked.some((path) => path.includes(`topic=room/${name}&`))).toBe(true);
    }
  });

  test('a recorder that is off is told of', async () => {
    serve({ '/api/v1/history': { status: 404, body: { error: 'the broker runs without a recorder' } } });
    open('/devices/1', BROKER);
    receiveState('1');
    await settle();
    expect(screen.getByText(/no recordings: the broker runs without a recorder/)).toBeTruthy();
  });

  test('its session is shown, as text', async () => {
    const client = {
      id: '<b>x</b>',
      user: null,
      connection: { protocol: '3.1.1', keepAlive: 60, unread: 0 },
      since: NOW - 3_600_000,
      expiry: 0,
      subscriptions: [{ filter: 'device/1/command', qos: 1 }],
      queued: 2,
      inFlight: 1,
      dropped: 7,
    };
    serve({ '/api/v1/clients?topic=device/1/online': { body: { clients: [client], beyond: 0 } } });
    open('/devices/1', BROKER);
    receiveState('1');
    await settle();
    const fact = (name: string) => section('Session').querySelector(`[data-fact="${name}"] dd`)?.textContent;
    expect(fact('Client Identifier')).toBe('<b>x</b>');
    expect(fact('User')).toBe('anonymous');
    expect(fact('Connected since')).toContain('(1 h ago)');
    expect(fact('Protocol')).toBe('MQTT 3.1.1');
    expect(fact('Session')).toBe('ends with the connection');
    expect(fact('Waiting')).toBe('2 queued, 1 in flight');
    expect(fact('Lost messages')).toBe('7');
    expect(within(section('Session')).getByText('device/1/command')).toBeTruthy();
  });

  test('a client that nobody may know of is not there', async () => {
    serve({ '/api/v1/clients': { body: { clients: [], beyond: 0 } } });
    open('/devices/1', BROKER);
    receiveState('1');
    await settle();
    expect(screen.getByText('No client that you may know of has its Will at device/1/online.')).toBeTruthy();
  });
});

test('with any other broker there is no session to be seen', () => {
  open();
  receiveState('1');
  expect(screen.queryByRole('region', { name: 'Session' })).toBeNull();
});

function section(name: string): HTMLElement {
  return screen.getByRole('region', { name });
}

function commandField(): HTMLTextAreaElement {
  return screen.getByRole('textbox', { name: 'A command of your own' });
}

async function type(text: string): Promise<void> {
  await user.clear(commandField());
  await user.type(commandField(), text);
}
