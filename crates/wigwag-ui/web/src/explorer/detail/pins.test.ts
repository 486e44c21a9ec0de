import { beforeEach, expect, test, vi } from 'vitest';

import type { TopicView } from '../../message/message.ts';
import { hex, message } from '../../message/testing.ts';
import type { Pin } from './pins.ts';
import { Pins, PINS_MAX, POINTS_MAX } from './pins.ts';

const PATH = ['a'];

let pins: Pins;

beforeEach(() => {
  vi.useFakeTimers();
  pins = new Pins();
});

function pin(): Pin {
  vi.advanceTimersToNextFrame();
  const [first] = pins.snapshot();
  if (first === undefined) throw new Error('no pin');
  return first;
}

/** The messages with these numbers, of which each holds its own. */
function view(from: number, to: number, payload = (seq: number) => `{"a":${seq}}`): TopicView {
  const history = Array.from({ length: to - from + 1 }, (_, index) => {
    const seq = from + index;
    return message(payload(seq), { seq, at: 1_000 * seq });
  });
  return { topic: 't', history, total: to };
}

test('takes the history first and then what is new', () => {
  pins.add('t', PATH);
  pins.feed(pin().id, view(1, 2));
  pins.feed(pin().id, view(1, 3));
  expect(pin()).toMatchObject({ times: [1_000, 2_000, 3_000], values: [1, 2, 3], missed: 0 });
});

test('messages without the number leave no point', () => {
  pins.add('t', PATH);
  pins.feed(
    pin().id,
    view(1, 3, (seq) => (seq === 2 ? 'offline' : `{"a":${seq}}`)),
  );
  expect(pin().values).toEqual([1, 3]);
});

test('counts what came and went while nobody looked', () => {
  pins.add('t', PATH);
  pins.feed(pin().id, view(1, 2));
  pins.feed(pin().id, view(10, 12));
  expect(pin()).toMatchObject({ values: [1, 2, 10, 11, 12], missed: 7 });
});

test('begins anew when the tree was emptied', () => {
  pins.add('t', PATH);
  pins.feed(pin().id, view(1, 9));
  pins.feed(pin().id, view(1, 1));
  expect(pin()).toMatchObject({ values: [1, 2, 3, 4, 5, 6, 7, 8, 9, 1], missed: 0 });
});

test('keeps the newest points of very many', () => {
  pins.add('t', PATH);
  pins.feed(pin().id, view(1, 3 * POINTS_MAX));
  expect(pin().values).toHaveLength(POINTS_MAX);
  expect(pin().values.at(-1)).toBe(3 * POINTS_MAX);
});

test('of Sparkplug, names come from the birth certificate', () => {
  const birth = message(hex('120f0a0b54656d70657261747572651007'));
  const data = { topic: 'spBv1.0/g/NDATA/e', total: 1, history: [message(hex('120910072009653333ab41'), { topic: 'spBv1.0/g/NDATA/e' })] }; // prettier-ignore
  pins.add(data.topic, ['metrics', 'Temperature', 'value']);
  pins.feed(pin().id, data, birth);
  expect(pin().values).toEqual([21.4]);
});

test('there is room for a few, each once', () => {
  for (let index = 0; index < PINS_MAX; index++) expect(pins.add('t', [index])).toBe(true);
  expect(pins.add('t', [0])).toBe(true);
  expect(pins.add('t', ['one more'])).toBe(false);
  expect(pins.has('t', ['one more'])).toBe(false);
  pins.remove(pin().id);
  expect(pins.add('t', ['one more'])).toBe(true);
});
