import { act, fireEvent, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter, useLocation } from 'react-router';
import { beforeEach, expect, test, vi } from 'vitest';

import type { Message, TopicView } from '../../message/message.ts';
import { hex, message } from '../../message/testing.ts';
import type { FromWorker, ToWorker } from '../../mqtt/protocol.ts';
import { useSettings } from '../../shell/settings.ts';
import { Station, StationProvider } from '../../station.ts';
import { brokerAt } from '../../testing.ts';
import { DetailPane } from './DetailPane.tsx';
import { useSavedMessages } from './saved-messages.ts';

const views = vi.hoisted(() => new Map<string, TopicView>());

vi.mock('../useTopic.ts', () => ({
  useTopic: (topic: string): TopicView => views.get(topic) ?? { topic, history: [], total: 0 },
}));
// A canvas is nothing that happy-dom draws on.
vi.mock('../../ui/chart/Chart.tsx', () => ({ Chart: ({ label }: { label: string }) => <p>{label}</p> }));

const posted: ToWorker[] = [];
let answer: (message: FromWorker) => void;
let user: ReturnType<typeof userEvent.setup>;

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  user = userEvent.setup({ advanceTimers: vi.advanceTimersByTime });
  views.clear();
  useSavedMessages.setState(useSavedMessages.getInitialState());
  posted.length = 0;
});

function has(topic: string, ...messages: Message[]): void {
  const history = messages.map((one, index) => ({ ...one, topic, seq: index + 1 }));
  views.set(topic, { topic, history, total: history.length });
}

function open(topic: string | undefined, search = ''): void {
  const port = {
    post: (sent: ToWorker) => posted.push(sent),
    listen: (listener: typeof answer) => (answer = listener),
    end: () => undefined,
  };
  const station = new Station(port, brokerAt('ws://b'));
  render(
    <StationProvider value={station}>
      <MemoryRouter initialEntries={[`/explore/t${search}`]}>
        <DetailPane topic={topic} />
        <Address />
      </MemoryRouter>
    </StationProvider>,
  );
  act(() => {
    answer({ kind: 'status', status: { phase: 'connected', since: 0, refused: [] } });
    vi.advanceTimersToNextFrame();
  });
}

function Address() {
  return <p data-testid="address">{useLocation().search}</p>;
}

async function press(role: string, name: string | RegExp): Promise<void> {
  await user.click(screen.getByRole(role, { name }));
  act(() => {
    vi.advanceTimersToNextFrame();
  });
}

function payload(): string | null {
  return screen.getByLabelText('Payload').textContent;
}

test('shows the latest message as text, with its properties', () => {
  const properties = { contentType: 'text/html', userProperties: [['<b>', '<i>']] as const };
  has('t', message('old'), message('<img src=x>', { retain: true, qos: 1, properties }));
  open('t');
  expect(payload()).toBe('<img src=x>');
  expect(screen.getByText(/Latest · .* · QoS 1 · 11 B/)).toBeTruthy();
  expect(screen.getByText('Retained')).toBeTruthy();
  expect(screen.getByText('User: <b>')).toBeTruthy();
  expect(document.querySelector('img')).toBeNull();
});

test('reads a payload as the user wants, and says when it is something else', async () => {
  has('t', message(hex('a1616118ff')));
  open('t');
  expect(payload()).toBe('{\n  "a": 255\n}');
  const choice = screen.getByRole('combobox', { name: 'Read as' });
  await user.selectOptions(choice, 'hex');
  expect(payload()).toMatch(/^00000000 {2}a1 61 61 18 ff/);
  await user.selectOptions(choice, 'json');
  expect(screen.getByText('This payload is not JSON: it is not UTF-8.')).toBeTruthy();
});

test('a number is followed in a chart until that is closed', async () => {
  has('t', message('{"a":1}'), message('{"a":2}'));
  open('t');
  await press('button', 'Chart of $.a');
  expect(await screen.findByText('$.a of t, 2 points, last 2')).toBeTruthy();
  await press('button', 'Close the chart of $.a of t');
  expect(screen.queryByRole('heading', { name: 'Charts' })).toBeNull();
});

test('a message of the history is shown in the other views, until the latest is wanted', async () => {
  has('t', message('one'), message('two'), message('three'));
  open('t', '?view=history');
  const rows = within(screen.getByRole('listbox')).getAllByRole('option');
  expect(rows.map((row) => /one|two|three/.exec(row.textContent)?.[0])).toEqual(['three', 'two', 'one']);
  fireEvent.keyDown(screen.getByRole('listbox'), { key: 'End' });
  await press('tab', 'Value');
  expect(payload()).toBe('one');
  expect(screen.getByText(/No. 1 of 3/)).toBeTruthy();
  await press('button', 'Follow the latest');
  expect(payload()).toBe('three');
});

test('tells what differs from the message before, and from any other', async () => {
  has('t', message('{"a":1}'), message('{"a":2}'), message('{"a":1}'));
  open('t', '?view=changes');
  expect(screen.getByText('Lines added: 1, removed: 1.')).toBeTruthy();
  await user.selectOptions(screen.getByRole('combobox', { name: 'Compare with' }), '1');
  expect(screen.getByText('Both say the same.')).toBeTruthy();
});

test('the view is in the address, and the arrow keys go through the views', async () => {
  open('t');
  screen.getByRole('tab', { name: 'Value' }).focus();
  await user.keyboard('{ArrowLeft}');
  expect(screen.getByTestId('address').textContent).toBe('?view=publish');
  expect(document.activeElement?.textContent).toBe('Publish');
  await user.keyboard('{ArrowRight}');
  expect(screen.getByTestId('address').textContent).toBe('');
});

test('a message is sent again as it was, and what becomes of it is told', async () => {
  has('t', message('on', { qos: 1, retain: true, properties: { contentType: 'text/plain' } }));
  open('t');
  await press('button', 'Edit and send');
  await user.click(screen.getByRole('textbox', { name: 'Payload' }));
  await user.keyboard('!{Control>}{Enter}{/Control}');
  const sent = posted.find((one) => one.kind === 'publish');
  expect(sent).toEqual({
    kind: 'publish',
    id: 1,
    topic: 't',
    payload: new TextEncoder().encode('on!'),
    qos: 1,
    retain: true,
    properties: { contentType: 'text/plain' },
  });
  await act(async () => {
    answer({ kind: 'published', id: 1, outcome: { kind: 'unheard' } });
    await vi.advanceTimersByTimeAsync(50);
  });
  expect(screen.getByRole('status').textContent).toContain('to t: the broker took it; nobody is subscribed.');
});

test('a message that cannot be sent is not, and its field says why', async () => {
  open(undefined, '?view=publish');
  const topic = screen.getByRole('textbox', { name: 'Topic' });
  await user.type(topic, 'a/#');
  await press('button', 'Publish');
  expect(posted.some((one) => one.kind === 'publish')).toBe(false);
  expect(topic.getAttribute('aria-invalid')).toBe('true');
  expect(screen.getByText(/Nobody can publish to a wildcard/)).toBeTruthy();
});

test('a saved message brings all of it back', async () => {
  open(undefined, '?view=publish');
  const field = (name: string) => screen.getByRole<HTMLInputElement>('textbox', { name });
  await user.clear(field('Topic'));
  await user.type(field('Topic'), 'lamp');
  await user.type(field('Payload'), 'on');
  await user.type(field('Name'), 'Light');
  await user.type(screen.getByRole('combobox', { name: 'Collection' }), 'Lamps');
  await press('button', 'Save');
  await user.clear(field('Topic'));
  await user.clear(field('Name'));
  await user.selectOptions(screen.getByRole('combobox', { name: 'Load' }), 'Lamps / Light');
  act(() => {
    vi.advanceTimersToNextFrame();
  });
  expect(field('Topic').value).toBe('lamp');
  await press('button', 'Delete');
  expect(screen.queryByRole('combobox', { name: 'Load' })).toBeNull();
});

test('messages come from a file, and what is wrong with it is told', async () => {
  open(undefined, '?view=publish');
  const messages = [{ name: 'on', collection: 'Lamps', topic: 'lamp' }, { name: '' }];
  const file = new File([JSON.stringify({ wigwag: 'messages', version: 1, messages })], 'm.json');
  await user.upload(screen.getByLabelText('Import'), file);
  expect(await screen.findByText(/^1 added, 0 replaced\. Message 2: "name"/)).toBeTruthy();
  expect(screen.getByRole('option', { name: 'Lamps / on' })).toBeTruthy();
});

test('a payload is that of a file, until it is to be written', async () => {
  open('t', '?view=publish');
  await user.upload(
    screen.getByLabelText('From a file'),
    new File([new Uint8Array([1, 255])], 'a\u202eb.bin'),
  );
  expect(await screen.findByText('a⟨202E⟩b.bin, 2 B')).toBeTruthy();
  expect(screen.queryByRole('textbox', { name: 'Payload' })).toBeNull();
  await press('button', 'Publish');
  expect(posted.find((one) => one.kind === 'publish')).toMatchObject({ payload: new Uint8Array([1, 255]) });
  await press('button', 'Write it instead');
  expect(screen.getByRole('textbox', { name: 'Payload' })).toBeTruthy();
});

test('a full stop opens the panel with the topic ready to be written, unless somebody types', async () => {
  open('t');
  await user.keyboard('.');
  const topic = screen.getByRole<HTMLInputElement>('textbox', { name: 'Topic' });
  expect(document.activeElement).toBe(topic);
  await user.keyboard('/x.y');
  expect(topic.value).toBe('t/x.y');
});

test('a full stop does nothing while single keys are off', async () => {
  useSettings.setState({ singleKeys: false });
  open('t');
  await user.keyboard('.');
  expect(screen.queryByRole('textbox', { name: 'Topic' })).toBeNull();
  useSettings.setState(useSettings.getInitialState());
});
