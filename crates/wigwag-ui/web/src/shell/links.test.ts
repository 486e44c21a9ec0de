import { describe, expect, test } from 'vitest';

import { deviceOfParam, devicePath, tabSearch, topicOfPath, topicPath } from './links.ts';

describe('the address of a topic', () => {
  test.each([
    ['plant/line 1/temp', '/explore/plant/line%201/temp'],
    ['/leading/and/trailing/', '/explore/~/leading/and/trailing/~'],
    ['a//b', '/explore/a/~/b'],
    ['a/./../b', '/explore/a/~./~../b'],
    ['~/~~', '/explore/~~/~~~'],
    ['50%/é?#&', '/explore/50%25/%C3%A9%3F%23%26'],
    ['$SYS/broker/load/1min', '/explore/%24SYS/broker/load/1min'],
    ['<img src=x onerror=alert(1)>', '/explore/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E'],
  ])('of %s is %s, and back', (topic, path) => {
    expect(topicPath(topic)).toBe(path);
    expect(new URL(path, 'http://x').pathname).toBe(path);
    expect(topicOfPath(path)).toBe(topic);
  });

  test.each([
    ['/explore', undefined],
    ['/explore/', undefined],
    ['/devices/1', undefined],
    ['/explore/100%/x', '100%/x'],
  ])('typed by hand as %s is read as %s', (path, topic) => {
    expect(topicOfPath(path)).toBe(topic);
  });
});

test.each(['1', 'a/b', '..', '~', 'sensor.1', '50%'])('a device called %s has an address', (id) => {
  const path = devicePath(id);
  expect(new URL(path, 'http://x').pathname).toBe(path);
  expect(deviceOfParam(decodeURIComponent(path.slice('/devices/'.length)))).toBe(id);
});

test('only the choice of broker goes along to other pages', () => {
  expect(tabSearch('?q=x&broker=ws%3A%2F%2Fb%3A9&view=table')).toBe('?broker=ws%3A%2F%2Fb%3A9');
  expect(tabSearch('?q=x')).toBe('');
});
