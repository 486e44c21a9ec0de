import { deflateSync, gzipSync } from 'node:zlib';

import { beforeEach, describe, expect, test } from 'vitest';

import { decodeSparkplug } from '../../../message/sparkplug.ts';
import { hex } from '../../../message/testing.ts';
import type { Incoming } from '../../../mqtt/protocol.ts';
import { DeviceStore } from '../../device-store.ts';
import { payloadOf } from '../../encode.ts';
import type { Device, FieldValue } from '../../model.ts';
import { incoming } from '../../testing.ts';
import { FIELDS_MAX, SparkplugSource } from './sparkplug-source.ts';

const NOW = Date.UTC(2026, 0, 1);

/** Encoded by Google's library for Python: a birth with every kind of metric at seq 3, and data by alias at seq 4. */
const BIRTH = hex(
  '088899a6e5b73312270a0b54656d7065726174757265100720094a0f0a04756e69741207080c4203c2b043656666aa4112120a064f66' +
    '667365741008200350fbffffff0f12140a05546f74616c200858ffffffffffffffffff0112140a05436f756e74200458f7ffffffff' +
    'ffffffff0112080a024f6e200b7001120e0a044e616d65200c7a045a6fc3ab120a0a04476f6e65200a380112100a0553696e636520' +
    '0d588899a6e5b73312120a05466c61677320208201060a000000a04012110a05576f7264732021820105610062630012110a064c65' +
    '76656c732017820104feff2c0112240a055461626c6520108a011808021202696412026f6e1805180b22080a0208040a022800122c' +
    '0a054d6f746f722013920120120a0a0352504d200750dc0b1a0b0a05706f6c65731003180422056d6f746f721803',
);
const DATA = hex('088899a6e5b733120910072009653333ab411204100950011804');

let store: DeviceStore;
let source: SparkplugSource;
let clock: number;

beforeEach(() => {
  store = new DeviceStore();
  clock = NOW;
  source = new SparkplugSource({ store, subscribe: () => () => undefined });
});

function receive(topic: string, payload: Uint8Array, more: Partial<Incoming> = {}) {
  const message = incoming(`spBv1.0/${topic}`, '', { payload, bytes: payload.length, at: clock++, ...more });
  return source.handle(message);
}

function device(id: string): Device {
  const found = store.device(`spb/${id}`);
  if (found === undefined) throw new Error(`no device ${id}`);
  return found;
}

function values(id: string): Record<string, FieldValue | undefined> {
  return Object.fromEntries(device(id).fields.map(({ key, value }) => [key, value]));
}

interface Said {
  name?: string;
  alias?: number;
  /** Boolean, Int32, and Double as the specification numbers them. */
  type?: 11 | 3 | 10;
  value: boolean | number;
  properties?: Record<string, boolean | string>;
}

/** As an edge node would; what is encoded here is decoded by what the fixtures above hold to account. */
function said(seq: number | undefined, metrics: Said[], timestamp = clock): Uint8Array {
  const all = metrics.flatMap(({ name, alias, type, value, properties }) =>
    block(2, [
      ...(name === undefined ? [] : block(1, utf8(name))),
      ...(alias === undefined ? [] : number(2, alias)),
      ...(type === undefined ? [] : number(4, type)),
      ...(properties === undefined ? [] : block(9, propertySet(properties))),
      ...(typeof value === 'boolean'
        ? number(14, Number(value))
        : type === 3
          ? number(10, value >>> 0)
          : [...number(13, 0).slice(0, 0), (13 << 3) | 1, ...double(value)]),
    ]),
  );
  return new Uint8Array([...number(1, timestamp), ...all, ...(seq === undefined ? [] : number(3, seq))]);
}

function propertySet(properties: Record<string, boolean | string>): number[] {
  const entries = Object.entries(properties);
  return [
    ...entries.flatMap(([key]) => block(1, utf8(key))),
    ...entries.flatMap(([, value]) =>
      block(
        2,
        typeof value === 'boolean'
          ? [...number(1, 11), ...number(7, Number(value))]
          : [...number(1, 12), ...block(8, utf8(value))],
      ),
    ),
  ];
}

function utf8(text: string): number[] {
  return [...new TextEncoder().encode(text)];
}

function double(value: number): Uint8Array {
  return new Uint8Array(new Float64Array([value]).buffer);
}

function number(field: number, value: number): number[] {
  return [...base128(field << 3), ...base128(value)];
}

function block(field: number, bytes: number[]): number[] {
  return [...base128((field << 3) | 2), ...base128(bytes.length), ...bytes];
}

function base128(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...base128(Math.floor(value / 128))];
}

const BD_SEQ = { name: 'bdSeq', type: 10, value: 4 } as const;

function bornNode(): void {
  const rebirth = { name: 'Node Control/Rebirth', alias: 1, type: 11, value: false } as const;
  receive('plant/NBIRTH/edge', said(0, [BD_SEQ, rebirth, { name: 'uptime', alias: 0, type: 10, value: 5 }]));
}

function bornDevice(): void {
  const metrics: Said[] = [
    { name: 'running', alias: 2, type: 11, value: true },
    { name: 'pressure', alias: 3, type: 10, value: 2.5, properties: { engUnit: 'bar' } },
    { name: 'setpoint', alias: 4, type: 3, value: -7, properties: { readOnly: false } },
    { name: 'sealed', alias: 5, type: 11, value: true, properties: { readOnly: true } },
  ];
  receive('plant/DBIRTH/edge/pump', said(1, metrics));
}

test('a birth certificate makes a device with its values, those with a unit first', () => {
  const heard = receive('plant/DBIRTH/edge/pump', BIRTH);
  expect(heard?.ids).toEqual(['spb/plant/edge/pump']);
  expect(heard?.text).toMatch(/^seq 3, Temperature = 21\.3, Offset = -5, .* and 5 more$/);
  expect(device('plant/edge/pump')).toMatchObject({
    source: 'sparkplug',
    name: 'edge / pump',
    tags: ['plant', 'edge'],
    presence: { online: true, heardAt: NOW },
    madeAt: 1_767_323_045_000,
    problems: [],
  });
  const [first] = device('plant/edge/pump').fields;
  expect(first).toMatchObject({ key: 'Temperature', unit: '°C', value: 21.3 });
  expect(values('plant/edge/pump')).toMatchObject({
    Offset: -5,
    Count: -9,
    On: true,
    Name: 'Zoë',
    Gone: null,
    Since: '2026-01-02T03:04:05.000Z',
    Words: expect.stringContaining('"bc"') as string,
    Motor: expect.stringContaining('1500') as string,
  });
});

test('data come by the aliases of the birth, and with its types', () => {
  receive('plant/DBIRTH/edge/pump', BIRTH);
  const heard = receive('plant/DDATA/edge/pump', DATA);
  expect(heard?.text).toBe('seq 4, Temperature = 21.4, alias 9 = 1');
  expect(values('plant/edge/pump').Temperature).toBe(21.4);
  expect(
    device('plant/edge/pump')
      .fields[0]?.samples?.all()
      .map(({ value }) => value),
  ).toEqual([21.3, 21.4]);
  bornNode();
  bornDevice();
  // No type in data: the number has lost its sign, and the birth knows better.
  receive('plant/DDATA/edge/pump', said(2, [{ alias: 4, type: 3, value: -12 }]));
  expect(values('plant/edge/pump').setpoint).toBe(-12);
});

test('a node and its devices go together, a device may go alone, and who speaks is there', () => {
  bornNode();
  bornDevice();
  receive('plant/DDEATH/edge/pump', said(2, []));
  expect(device('plant/edge/pump').presence?.online).toBe(false);
  expect(device('plant/edge').presence?.online).toBe(true);
  receive('plant/DDATA/edge/pump', said(3, [{ alias: 3, type: 10, value: 2 }]));
  expect(device('plant/edge/pump').presence?.online).toBe(true);
  const heard = receive('plant/NDEATH/edge', said(undefined, [BD_SEQ]));
  expect(heard?.ids).toEqual(['spb/plant/edge', 'spb/plant/edge/pump']);
  expect(device('plant/edge').presence?.online).toBe(false);
  expect(device('plant/edge/pump').presence?.online).toBe(false);
});

test('the death of an earlier connection is none of this one', () => {
  bornNode();
  const heard = receive('plant/NDEATH/edge', said(undefined, [{ ...BD_SEQ, value: 3 }]));
  expect(heard?.problem).toBe('the death of an earlier connection: its bdSeq is 3, that of the last birth 4');
  expect(device('plant/edge').presence?.online).toBe(true);
});

describe('numbers of messages', () => {
  test('that were left out are counted at the node', () => {
    bornNode();
    bornDevice();
    receive('plant/DDATA/edge/pump', said(3, [{ alias: 3, type: 10, value: 2 }]));
    receive('plant/NDATA/edge', said(4, [{ alias: 0, type: 10, value: 6 }]));
    receive('plant/NDATA/edge', said(9, [{ alias: 0, type: 10, value: 7 }]));
    expect(device('plant/edge').problems).toEqual([
      'Messages of this node or its devices were missing 2 times: numbers were left out',
    ]);
    expect(device('plant/edge/pump').problems).toEqual([]);
  });

  test('go round, begin anew with a birth, and come again with a copy', () => {
    bornNode();
    for (let seq = 1; seq < 600; seq++)
      receive('plant/NDATA/edge', said(seq % 256, [{ alias: 0, type: 10, value: seq }]));
    const copy = said(600 % 256, [{ alias: 0, type: 10, value: 600 }], NOW);
    receive('plant/NDATA/edge', copy);
    receive('plant/NDATA/edge', copy);
    bornNode();
    bornDevice();
    expect(device('plant/edge').problems).toEqual([]);
  });
});

describe('commands', () => {
  test('are offered for what can be written, and a rebirth always', () => {
    bornNode();
    bornDevice();
    const { controls } = device('plant/edge/pump');
    expect(controls.map(({ key, kind, topic }) => [key, kind, topic])).toEqual([
      ['running', 'switch', 'spBv1.0/plant/DCMD/edge/pump'],
      ['setpoint', 'number', 'spBv1.0/plant/DCMD/edge/pump'],
      ['Node Control/Rebirth', 'button', 'spBv1.0/plant/NCMD/edge'],
    ]);
    expect(device('plant/edge').controls.map(({ key }) => key)).toEqual(['Node Control/Rebirth']);
    const [running] = controls;
    if (running === undefined) throw new Error('no control');
    const [metric] = decodeSparkplug(payloadOf(running, false, NOW) as Uint8Array).metrics;
    expect(metric).toMatchObject({ alias: 2, type: 'Boolean', value: false, timestamp: NOW });
  });

  test('of a node that was not heard being born are its rebirth', () => {
    receive('plant/DDATA/edge/pump', said(7, [{ alias: 3, type: 10, value: 2 }, { name: 'level', type: 10, value: 1 }])); // prettier-ignore
    expect(values('plant/edge/pump')).toEqual({ level: 1 });
    expect(device('plant/edge/pump').problems[0]).toMatch(/birth certificate was not heard/);
    const [rebirth] = device('plant/edge/pump').controls;
    if (rebirth === undefined) throw new Error('no control');
    const [metric] = decodeSparkplug(payloadOf(rebirth, true, NOW) as Uint8Array).metrics;
    expect(metric).toMatchObject({ name: 'Node Control/Rebirth', value: true });
    bornNode();
    bornDevice();
    expect(device('plant/edge/pump').problems).toEqual([]);
    expect(values('plant/edge/pump')).not.toHaveProperty('level');
  });
});

test('an older message tells its numbers', () => {
  bornDevice();
  const payload = said(9, [{ alias: 3, type: 10, value: 1.5 }, { alias: 2, type: 11, value: false }]); // prettier-ignore
  const old = incoming('spBv1.0/plant/DDATA/edge/pump', '', { payload, bytes: payload.length });
  expect(source.numbersIn(device('plant/edge/pump'), old)).toEqual([['pressure', 1.5]]);
  const other = { ...old, topic: 'spBv1.0/plant/DDATA/edge/other' };
  expect(source.numbersIn(device('plant/edge/pump'), other)).toEqual([]);
});

describe('hostile messages', () => {
  test.each([
    [new Uint8Array([0x7b]), 'not Sparkplug B: the field at byte 0 is of an unknown kind'],
    [undefined, 'the payload did not come as bytes'],
  ])('are told', (payload, problem) => {
    bornNode();
    const topic = 'spBv1.0/plant/NDATA/edge';
    const message = incoming(topic, '', payload === undefined ? {} : { payload, bytes: payload.length });
    expect(source.handle(message)?.problem).toBe(problem);
    expect(device('plant/edge').invalid).toBe(1);
  });

  test('that are cut anywhere, or have anything flipped, throw nothing', () => {
    for (let index = 0; index < BIRTH.length; index++) {
      expect(() => receive('plant/DBIRTH/edge/pump', BIRTH.slice(0, index))).not.toThrow();
      const flipped = BIRTH.slice();
      flipped[index] = (flipped[index] ?? 0) ^ 0x55;
      expect(() => receive('plant/DBIRTH/edge/pump', flipped)).not.toThrow();
    }
  });

  test('have as many values as are shown, and the rest is counted', () => {
    const metrics = Array.from({ length: FIELDS_MAX + 7 }, (_, index): Said => ({ name: `m${index}`, type: 10, value: index })); // prettier-ignore
    receive('plant/DBIRTH/edge/pump', said(0, metrics));
    expect(device('plant/edge/pump').fields).toHaveLength(FIELDS_MAX);
    expect(device('plant/edge/pump').fieldsBeyond).toBe(7);
    for (let index = 0; index < 100; index++)
      receive('plant/DDATA/edge/new', said(0, [{ name: `n${index}`, type: 10, value: 1 }]));
    expect(device('plant/edge/new').fields).toHaveLength(FIELDS_MAX);
  });
});

test.each([
  'STATE/host',
  'plant/NCMD/edge',
  'plant/DDATA/edge',
  'plant/NDATA/edge/pump/x',
  'plant/XDATA/edge',
])('%s is none of its topics', (topic) => {
  expect(receive(topic, DATA)).toBeUndefined();
});

describe('a payload that is compressed', () => {
  const packed = (body: Uint8Array) =>
    new Uint8Array([...block(4, utf8('SPBV1.0_COMPRESSED')), ...block(5, [...body])]);
  const birth = () => said(0, [{ name: 'temp', alias: 1, type: 10, value: 21.5 }]);

  test.each([
    ['deflate', deflateSync],
    ['gzip', gzipSync],
  ])('with %s is read', (_, pack) => {
    receive('g/NBIRTH/n', packed(pack(birth())));
    expect(values('g/n')).toEqual({ temp: 21.5 });
    receive('g/NDATA/n', packed(pack(said(1, [{ alias: 1, value: 22 }]))));
    expect(values('g/n')).toEqual({ temp: 22 });
  });

  test.each([
    ['is damaged', () => new Uint8Array([0x78, 0x9c, 1, 2, 3])],
    ['is cut', () => deflateSync(birth()).subarray(0, 12)],
    ['holds nothing', () => new Uint8Array()],
  ])('and %s is told', (_, body) => {
    expect(receive('g/NBIRTH/n', packed(body()))?.problem).toMatch(/^not Sparkplug B: /);
  });

  test('and would unpack to more than a message may have is told before its end is read', () => {
    // Whoever read on would find that it is damaged.
    const bomb = deflateSync(new Uint8Array(64 * 1024 * 1024)).fill(0xff, 8 * 1024);
    expect(receive('g/NBIRTH/n', packed(bomb))?.problem).toBe(
      'not Sparkplug B: more than 1048576 bytes are packed in it',
    );
  });
});
