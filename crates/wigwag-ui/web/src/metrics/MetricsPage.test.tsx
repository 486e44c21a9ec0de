import { act, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter, useLocation } from 'react-router';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { FromWorker, Incoming } from '../mqtt/protocol.ts';
import { Station, StationProvider } from '../station.ts';
import { brokerAt } from '../testing.ts';
import { MetricsPage } from './MetricsPage.tsx';

vi.mock('uplot', () => ({ default: vi.fn(FakePlot) }));

/** There is no canvas here; what is drawn is for eyes and for the browser test. */
function FakePlot() {
  return { batch: vi.fn(), setData: vi.fn(), setScale: vi.fn(), setSize: vi.fn(), destroy: vi.fn() };
}

const NOW = new Date('2026-01-01T12:00:00Z').getTime();

const fetched = vi.fn<typeof fetch>();
let deliver: (message: FromWorker) => void;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
  fetched.mockReset();
  vi.stubGlobal('fetch', fetched);
});
afterEach(() => {
  vi.unstubAllGlobals();
});

function Address() {
  const { pathname, search } = useLocation();
  return <output data-testid="address">{pathname + search}</output>;
}

function show(at = '/monitor', config: { metrics?: string } = {}) {
  const port = {
    post: vi.fn(),
    listen: (listener: (message: FromWorker) => void) => (deliver = listener),
    end: () => undefined,
  };
  const station = new Station(port, brokerAt('ws://b', config));
  deliver({ kind: 'status', status: { phase: 'connected', since: NOW, refused: [] } });
  render(
    <StationProvider value={station}>
      <MemoryRouter initialEntries={[at]}>
        <MetricsPage />
        <Address />
      </MemoryRouter>
    </StationProvider>,
  );
}

/** About so many a second: the clock goes on between two steps of a test, and a moment comes a little later. */
const ABOUT_10 = /^(?:9\.\d+|10(?:\.\d)?)\/s$/;
const ABOUT_100 = /^(?:9\d(?:\.\d)?|10\d)\/s$/;

async function pass(ms: number): Promise<void> {
  await act(() => vi.advanceTimersByTimeAsync(ms));
}

function scraped(messages: number): Response {
  const text = `# HELP wigwag_publish_messages_total PUBLISH packets, by direction and QoS
# TYPE wigwag_publish_messages_total counter
wigwag_publish_messages_total{direction="received",qos="0"} ${messages}
# HELP hostile_info </li><img src=x onerror=alert(1)>
# TYPE hostile_info gauge
hostile_info{version="<b>1</b>"} 1
`;
  return new Response(text, { headers: { 'content-type': 'text/plain; version=0.0.4' } });
}

async function hear(numbers: Record<string, string>): Promise<void> {
  const messages = Object.entries(numbers).map(([topic, text]): Incoming => ({
    topic,
    text,
    bytes: text.length,
    retain: true,
    qos: 0,
    at: Date.now(),
  }));
  deliver({ kind: 'messages', messages, skipped: 0 });
  await pass(1_000);
}

test('what /metrics shows is charts with values, and a list', async () => {
  let messages = 0;
  fetched.mockImplementation(() => Promise.resolve(scraped((messages += 20))));
  show('/monitor', { metrics: 'metrics' });
  await pass(4_500);
  const panel = within(screen.getByRole('region', { name: 'Messages' }));
  expect(panel.getByText(ABOUT_10)).toBeTruthy();
  expect(panel.getByRole('img', { name: /^Messages: received [\d.]+\/s, sent –$/ })).toBeTruthy();
  expect(
    within(screen.getByRole('region', { name: 'Memory' })).getByText('This broker does not tell.'),
  ).toBeTruthy();
  expect(screen.getByRole('button', { name: /^wigwag_publish_messages_total/ })).toBeTruthy();
});

test('a metric opens with its samples and a query, as text whatever it holds, and in the address', async () => {
  const user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime });
  fetched.mockImplementation(() => Promise.resolve(scraped(1)));
  show('/monitor', { metrics: 'metrics' });
  await pass(2_500);
  await user.type(screen.getByRole('searchbox', { name: 'Search metrics' }), 'hostile');
  expect(screen.getByText('1 of 2')).toBeTruthy();
  await user.click(screen.getByRole('button', { name: /^hostile_info/ }));
  expect(screen.getByText('hostile_info{version="<b>1</b>"}')).toBeTruthy();
  expect(screen.getByText('hostile_info', { selector: 'code' })).toBeTruthy();
  expect(document.querySelector('main img, li img')).toBeNull();
  expect(screen.getByTestId('address').textContent).toBe('/monitor?q=hostile&metric=hostile_info');
});

test('a panel says how Prometheus is asked', async () => {
  const user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime });
  fetched.mockImplementation(() => Promise.resolve(scraped(1)));
  show('/monitor?range=15', { metrics: 'metrics' });
  await pass(100);
  expect(screen.getByRole('radio', { name: '15 min' }).getAttribute('aria-checked')).toBe('true');
  await user.click(screen.getByRole('button', { name: 'PromQL of Messages' }));
  expect(screen.getByText('sum by (direction) (rate(wigwag_publish_messages_total[1m]))')).toBeTruthy();
});

test('a server that fails is told, with since when, and asked again', async () => {
  fetched.mockImplementation(() => Promise.resolve(scraped(1)));
  show('/monitor', { metrics: 'metrics' });
  await pass(100);
  fetched.mockImplementation(() => Promise.reject(new TypeError('Failed to fetch')));
  await pass(2_500);
  expect(screen.getByText('There are no metrics: the server does not answer')).toBeTruthy();
  expect(screen.getByText(/^What you see is stale since .* The page goes on asking\.$/)).toBeTruthy();
  fetched.mockImplementation(() => Promise.resolve(scraped(2)));
  await pass(2_500);
  expect(screen.queryByText(/There are no metrics/)).toBeNull();
});

test('what is paused stands still, and goes on where it would be', async () => {
  const user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime });
  let messages = 0;
  fetched.mockImplementation(() => Promise.resolve(scraped((messages += 20))));
  show('/monitor', { metrics: 'metrics' });
  await pass(4_500);
  await user.click(screen.getByRole('button', { name: 'Pause' }));
  fetched.mockImplementation(() => Promise.resolve(scraped((messages += 200))));
  await pass(4_500);
  const panel = within(screen.getByRole('region', { name: 'Messages' }));
  expect(panel.getByText(ABOUT_10)).toBeTruthy();
  await user.click(screen.getByRole('button', { name: /^Paused at/ }));
  await pass(100);
  expect(panel.getByText(ABOUT_100)).toBeTruthy();
});

test('without /metrics, the $SYS tree is shown', async () => {
  show();
  expect(screen.getByText(/as soon as the broker publishes them below \$SYS/)).toBeTruthy();
  await hear({ '$SYS/broker/clients/connected': '3', '$SYS/broker/uptime': '10 seconds' });
  expect(fetched).not.toHaveBeenCalled();
  const panel = within(screen.getByRole('region', { name: 'Clients' }));
  expect(panel.getByRole('img', { name: 'Clients: connected 3, disconnected –' })).toBeTruthy();
  expect(screen.getByRole('button', { name: /^\$SYS\/broker\/clients\/connected/ })).toBeTruthy();
});

test('a broker that says nothing of itself is given time, and then explained', async () => {
  show();
  await pass(20_000);
  expect(screen.getByText('The broker says nothing of itself')).toBeTruthy();
  expect(screen.getByText('topic read $SYS/#')).toBeTruthy();
});
