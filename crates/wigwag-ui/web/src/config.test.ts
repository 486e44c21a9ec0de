import { describe, expect, test } from 'vitest';

import { resolveConfig } from './config.ts';

const page = { base: 'http://lab.example/', search: '' };
const named = (name: string, mqtt: unknown, more: object = {}): object => ({ name, mqtt, ...more });

function urls(served: unknown, location = page): unknown[] {
  return resolveConfig(served, location).brokers.map(({ address }) => address);
}

describe('resolveConfig', () => {
  test.each([
    ['an address', { url: 'wss://b.example:8084/mqtt' }, page.base, 'wss://b.example:8084/mqtt'],
    ['a port', { port: 9101 }, page.base, 'ws://lab.example:9101'],
    ['a port for an https page', { port: 9101 }, 'https://lab.example/', 'wss://lab.example:9101'],
    ['a port on an IPv6 host', { port: 9101 }, 'http://[::1]:3000/', 'ws://[::1]:9101'],
    ['a path', { path: 'mqtt' }, 'http://lab.example:3000/', 'ws://lab.example:3000/mqtt'],
    ['a path below a prefix', { path: 'mqtt/1' }, 'https://lab.example/w/', 'wss://lab.example/w/mqtt/1'],
  ])('reads %s', (_name, mqtt, base, url) => {
    expect(urls({ brokers: [named('b', mqtt)] }, { ...page, base })).toEqual([{ url }]);
  });

  test.each([
    ['nothing', undefined],
    ['a page', '<!doctype html>'],
    ['no broker', { brokers: [] }],
    ['wrong types', { brokers: [7, named('b', { port: '9' }), named('', { port: 1 }), { name: 'b' }] }],
  ])('expects a broker on the host of the page where %s is served', (_name, served) => {
    const { brokers, chosen } = resolveConfig(served, page);
    expect(brokers).toEqual([{ name: 'local', address: { url: 'ws://lab.example:9001' }, from: 'server' }]);
    expect(chosen).toBe(brokers[0]);
  });

  const two = { brokers: [named('a', { port: 1 }), named('b', { port: 2 }), named('a', { port: 3 })] };

  test('begins with the first of several, and knows no name twice', () => {
    const { brokers, chosen } = resolveConfig(two, page);
    expect(brokers.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(chosen.name).toBe('a');
  });

  test.each([
    ['a name', 'b'],
    ['the address of a known one', 'ws://lab.example:2'],
  ])('chooses by %s', (_name, wanted) => {
    const { brokers, chosen } = resolveConfig(two, { ...page, search: `?broker=${wanted}` });
    expect(chosen).toBe(brokers[1]);
    expect(brokers).toHaveLength(2);
  });

  test('takes a broker from the address of the page, and says that it is from there', () => {
    const { brokers, chosen } = resolveConfig(two, { ...page, search: '?broker=ws://x:9' });
    expect(chosen).toEqual({ name: 'ws://x:9', address: { url: 'ws://x:9' }, from: 'address' });
    expect(brokers).toHaveLength(3);
  });

  test('takes no choice for none', () => {
    expect(resolveConfig(two, { ...page, search: '?broker=' }).chosen.name).toBe('a');
  });

  test.each(['http://x:9', 'x', 'javascript:alert(1)'])(
    'refuses the address %s and says what is allowed',
    (address) => {
      const search = `?broker=${encodeURIComponent(address)}`;
      expect(resolveConfig({}, { ...page, search }).chosen.address).toEqual({
        problem: expect.stringContaining('must begin with ws:// or wss://') as string,
      });
    },
  );

  test('says what the server shows of a broker', () => {
    const more = { metrics: 'metrics', api: 'api/v1' };
    expect(resolveConfig({ brokers: [named('a', { port: 1 }, more)] }, page).chosen).toMatchObject(more);
    const wrong = { brokers: [named('a', { port: 1 }, { metrics: true, api: 7 })] };
    expect(resolveConfig(wrong, page).chosen.metrics).toBeUndefined();
    expect(resolveConfig(wrong, page).chosen.api).toBeUndefined();
  });

  test('passes the version on', () => {
    expect(resolveConfig({ version: '1.2.3' }, page).version).toBe('1.2.3');
  });
});
