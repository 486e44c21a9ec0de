import { describe, expect, test } from 'vitest';

import type { ListQuery } from './device-list.ts';
import { listOf, readQuery, writeSort } from './device-list.ts';
import type { LinkView } from './health.ts';
import type { Device, Status } from './model.ts';
import { deviceWith } from './testing.ts';

const NOW = Date.UTC(2026, 0, 1);
const LINK: LinkView = {
  status: { phase: 'connected', since: NOW - 60_000, refused: [] },
  downSince: undefined,
};
const ALL = readQuery(new URLSearchParams());

function device(id: string, status: Status | undefined, temperature = 0, online = true): Device {
  const presence = { online, heardAt: NOW };
  if (status === undefined)
    return deviceWith({ id }, { status, fields: [], stateAt: 0, isSteady: false, presence });
  return deviceWith({ id, status, temperature, at: NOW - temperature }, { presence });
}

const DEVICES = [
  device('hall-1', 'running', 30),
  device('hall-2', 'idle', 10, false),
  device('Yard-1', 'running', 20),
  device('yard-2', undefined),
];

function list(changes: Partial<ListQuery>) {
  return listOf(DEVICES, { ...ALL, ...changes }, LINK, NOW);
}

function ids(changes: Partial<ListQuery>): string[] {
  return list(changes).devices.map((listed) => listed.device.id);
}

describe('the list', () => {
  test('has all devices by name when nothing is asked for', () => {
    expect(ids({})).toEqual(['hall-1', 'hall-2', 'Yard-1', 'yard-2']);
  });

  test.each<[string, Partial<ListQuery>, string[]]>([
    ['a part of the name', { text: ' YARD ' }, ['Yard-1', 'yard-2']],
    ['health', { health: 'offline' }, ['hall-2']],
    ['status', { status: 'running' }, ['hall-1', 'Yard-1']],
    ['all of them', { text: 'hall', health: 'online', status: 'running' }, ['hall-1']],
    ['something that nothing has', { text: '<b>' }, []],
  ])('is narrowed by %s', (_what, query, expected) => {
    expect(ids(query)).toEqual(expected);
  });

  test('is sorted either way, with those that have no value last', () => {
    expect(ids({ sort: { by: 'value', isDescending: false } })).toEqual([
      'hall-2',
      'Yard-1',
      'hall-1',
      'yard-2',
    ]);
    expect(ids({ sort: { by: 'value', isDescending: true } }).at(-1)).toBe('yard-2');
    expect(ids({ sort: { by: 'updated', isDescending: true } })[0]).toBe('hall-2');
    expect(ids({ sort: { by: 'name', isDescending: true } })[0]).toBe('yard-2');
  });

  test('counts what each facet would leave', () => {
    const { health, status } = list({ health: 'online' });
    expect(Object.fromEntries(health)).toEqual({ online: 3, offline: 1 });
    expect(Object.fromEntries(status)).toEqual({ running: 2 });
  });
});

describe('tags and sources', () => {
  const tagged = [
    deviceWith({ id: '1', at: NOW }, { tags: ['hall', 'new'] }),
    deviceWith({ id: '2', at: NOW }, { tags: ['hall'], source: 'home-assistant' }),
    deviceWith({ id: '3', at: NOW }, { tags: ['roof'], source: 'home-assistant' }),
  ];
  const of = (changes: Partial<ListQuery>) => {
    const { devices, tag, source } = listOf(tagged, { ...ALL, ...changes }, LINK, NOW);
    return {
      ids: devices.map(({ device }) => device.id),
      tag: Object.fromEntries(tag),
      source: Object.fromEntries(source),
    };
  };

  test('narrow the list, and count what each would leave', () => {
    expect(of({ tag: 'hall' })).toEqual({
      ids: ['1', '2'],
      tag: { hall: 2, new: 1, roof: 1 },
      source: { contract: 1, 'home-assistant': 1 },
    });
    expect(of({ tag: 'hall', source: 'home-assistant' })).toEqual({
      ids: ['2'],
      tag: { hall: 1, roof: 1 },
      source: { contract: 1, 'home-assistant': 1 },
    });
  });

  test('a search finds a part of a tag as well', () => {
    expect(of({ text: 'ROO' }).ids).toEqual(['3']);
  });

  test('the totals are of all devices, whatever is asked for', () => {
    const { totals } = listOf(DEVICES, { ...ALL, text: 'nothing' }, LINK, NOW);
    expect(totals).toEqual({ found: 4, online: 3, running: 2 });
  });
});

test('says what the first values are when they are the same of all that have one', () => {
  const labelOf = (...devices: Device[]) => listOf(devices, ALL, LINK, NOW).valueLabel;
  const [first, second, silent] = [device('1', 'idle'), device('2', 'idle'), device('3', undefined)];
  const other = { ...first, fields: first.fields.map((field) => ({ ...field, label: 'power' })) };
  expect(labelOf(silent, first, second)).toBe('temperature');
  expect(labelOf(first, second, other)).toBeUndefined();
  expect(labelOf(silent)).toBeUndefined();
});

describe('the address', () => {
  test.each([
    ['q=x&health=stale&status=idle&sort=-updated', 'x', 'stale', 'idle', 'updated', true],
    ['health=ill&status=dancing&sort=colour', '', undefined, undefined, 'name', false],
    ['sort=-name', '', undefined, undefined, 'name', true],
  ])('%s is read as what it can mean', (search, text, health, status, by, isDescending) => {
    expect(readQuery(new URLSearchParams(search))).toEqual({
      text,
      health,
      status,
      source: undefined,
      tag: undefined,
      sort: { by, isDescending },
    });
  });

  test('may name a source that there is, and any tag', () => {
    const read = (search: string) => readQuery(new URLSearchParams(search));
    expect(read('source=sparkplug&tag=a%2Fb')).toMatchObject({ source: 'sparkplug', tag: 'a/b' });
    expect(read('source=telex')).toMatchObject({ source: undefined });
  });

  test('has no sorting when it is the usual one', () => {
    expect(writeSort({ by: 'name', isDescending: false })).toBeUndefined();
    expect(writeSort({ by: 'name', isDescending: true })).toBe('-name');
    expect(writeSort({ by: 'value', isDescending: false })).toBe('value');
  });
});
