import { describe, expect, test } from 'vitest';

import { resolveConfig } from './config.ts';

const page = { protocol: 'http:', hostname: 'lab.example', search: '' };

describe('resolveConfig', () => {
  test.each([
    ['a served address', { mqtt: { url: 'wss://b.example:8084/mqtt' } }, page, 'wss://b.example:8084/mqtt'],
    ['a served port', { mqtt: { port: 9101 } }, page, 'ws://lab.example:9101'],
    [
      'a port on an https page',
      { mqtt: { port: 9101 } },
      { ...page, protocol: 'https:' },
      'wss://lab.example:9101',
    ],
    ['nothing served', undefined, page, 'ws://lab.example:9001'],
    ['something else served', '<!doctype html>', page, 'ws://lab.example:9001'],
    ['wrong types served', { mqtt: { url: 7, port: '9' } }, page, 'ws://lab.example:9001'],
    ['an override', { mqtt: { port: 1 } }, { ...page, search: '?broker=ws://x:9' }, 'ws://x:9'],
    ['an empty override', { mqtt: { port: 1 } }, { ...page, search: '?broker=' }, 'ws://lab.example:1'],
  ])('%s', (_name, served, location, url) => {
    const isChosen = location.search.includes('ws:');
    expect(resolveConfig(served, location)).toEqual({ broker: { url }, isChosen });
  });

  test.each(['http://x:9', 'x', 'javascript:alert(1)'])(
    'refuses the address %s and says what is allowed',
    (address) => {
      const { broker } = resolveConfig({}, { ...page, search: `?broker=${encodeURIComponent(address)}` });
      expect(broker).toEqual({
        problem: expect.stringContaining('must begin with ws:// or wss://') as string,
      });
    },
  );

  test('says where metrics are, unless they are of another broker', () => {
    expect(resolveConfig({ metrics: 'metrics' }, page).metrics).toBe('metrics');
    expect(resolveConfig({ metrics: true }, page).metrics).toBeUndefined();
    const chosen = { ...page, search: '?broker=ws://x:9' };
    expect(resolveConfig({ metrics: 'metrics' }, chosen).metrics).toBeUndefined();
  });

  test('passes the version on', () => {
    expect(resolveConfig({ version: '1.2.3' }, page).version).toBe('1.2.3');
  });
});
