import { describe, expect, test } from 'vitest';

import type { Broker } from './config.ts';
import { chooseBroker, resolveConfig } from './config.ts';

const BASE = 'http://lab.example/';
const named = (name: string, mqtt: unknown, more: object = {}): object => ({ name, mqtt, ...more });

describe('config.json', () => {
  test.each([
    ['an address', { url: 'wss://b.example:8084/mqtt' }, BASE, 'wss://b.example:8084/mqtt'],
    ['a port', { port: 9101 }, BASE, 'ws://lab.example:9101'],
    ['a port for an https page', { port: 9101 }, 'https://lab.example/', 'wss://lab.example:9101'],
    ['a port on an IPv6 host', { port: 9101 }, 'http://[::1]:3000/', 'ws://[::1]:9101'],
    ['a path', { path: 'mqtt' }, 'http://lab.example:3000/', 'ws://lab.example:3000/mqtt'],
    ['a path below a prefix', { path: 'mqtt/1' }, 'https://lab.example/w/', 'wss://lab.example/w/mqtt/1'],
  ])('names %s', (_name, mqtt, base, url) => {
    const { brokers } = resolveConfig({ brokers: [named('b', mqtt)] }, base);
    expect(brokers.map(({ address }) => address)).toEqual([{ url }]);
  });

  test.each([
    ['nothing', undefined],
    ['a page', '<!doctype html>'],
    ['no broker', { brokers: [] }],
    ['wrong types', { brokers: [7, named('b', { port: '9' }), named('', { port: 1 }), { name: 'b' }] }],
  ])('of %s means a broker on the host of the page', (_name, served) => {
    const local = { name: 'local', address: { url: 'ws://lab.example:9001' }, from: 'server' };
    expect(resolveConfig(served, BASE).brokers).toEqual([local]);
  });

  test('knows no name twice', () => {
    const served = [named('a', { port: 1 }), named('b', { port: 2 }), named('a', { port: 3 })];
    const { brokers } = resolveConfig({ brokers: served }, BASE);
    expect(brokers.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('says what the server shows of a broker', () => {
    const more = { metrics: 'metrics', api: 'api/v1' };
    const served = { brokers: [named('a', { port: 1 }, { ...more, address: 'mqtt://lab' })] };
    const [broker] = resolveConfig(served, BASE).brokers;
    expect(broker).toMatchObject({ ...more, place: 'mqtt://lab' });
    const wrong = { brokers: [named('a', { port: 1 }, { metrics: true, api: 7 })] };
    const [bare] = resolveConfig(wrong, BASE).brokers;
    expect(bare).toEqual({ name: 'a', address: { url: 'ws://lab.example:1' }, from: 'server' });
  });

  test('passes the version on', () => {
    expect(resolveConfig({ version: '1.2.3' }, BASE).version).toBe('1.2.3');
  });
});

describe('the broker of the page’s address', () => {
  const brokers: Broker[] = ['a', 'b'].map((name) => ({
    name,
    address: { url: `ws://${name}.example` },
    from: 'server',
  }));

  test.each([
    ['name', 'b'],
    ['address', 'ws://b.example'],
  ])('is found by its %s', (_name, wanted) => {
    expect(chooseBroker(brokers, wanted)).toBe(brokers[1]);
  });

  test('that nobody knows is known to be from there', () => {
    const stranger = { name: 'ws://x:9', address: { url: 'ws://x:9' }, from: 'address' };
    expect(chooseBroker(brokers, 'ws://x:9')).toEqual(stranger);
  });

  test.each(['http://x:9', 'x', 'javascript:alert(1)'])(
    'is refused as %s, with what is allowed',
    (address) => {
      expect(chooseBroker(brokers, address).address).toEqual({
        problem: expect.stringContaining('must begin with ws:// or wss://') as string,
      });
    },
  );
});
