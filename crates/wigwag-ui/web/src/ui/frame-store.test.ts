import { beforeEach, expect, test, vi } from 'vitest';

import { FrameStore } from './frame-store.ts';

class Numbers extends FrameStore<number> {
  rest = 0;
  #number = 0;

  add(): void {
    this.#number += 1;
    this.changed();
  }

  addByHand(): void {
    this.#number += 1;
    this.changedByHand();
  }

  protected override view(): number {
    return this.#number;
  }

  protected override restMs(): number {
    return this.rest;
  }
}

const FRAME_MS = 17;
let store: Numbers;
let seen: number[];

beforeEach(() => {
  vi.useFakeTimers();
  store = new Numbers();
  seen = [];
  store.subscribe(() => seen.push(store.snapshot()));
});

test('however often it changes within a frame, it is told once', () => {
  for (let count = 0; count < 5; count++) store.add();
  vi.advanceTimersByTime(FRAME_MS);
  expect(seen).toEqual([5]);
});

test('after a view it rests, and then shows all that came meanwhile', () => {
  store.rest = 200;
  store.add();
  vi.advanceTimersByTime(FRAME_MS);
  expect(seen).toEqual([1]);
  for (let elapsed = 0; elapsed < 170; elapsed += 10) {
    store.add();
    vi.advanceTimersByTime(10);
  }
  expect(seen).toEqual([1]);
  vi.advanceTimersByTime(50 + FRAME_MS);
  expect(seen).toEqual([1, 18]);
});

test('after a silence the first change is there with the next frame', () => {
  store.rest = 200;
  store.add();
  vi.advanceTimersByTime(1_000);
  store.add();
  vi.advanceTimersByTime(FRAME_MS);
  expect(seen).toEqual([1, 2]);
});

test('what somebody does by hand does not wait, and is told once', () => {
  store.rest = 200;
  store.add();
  vi.advanceTimersByTime(FRAME_MS);
  store.add();
  store.addByHand();
  vi.advanceTimersByTime(FRAME_MS);
  expect(seen).toEqual([1, 3]);
  vi.advanceTimersByTime(1_000);
  expect(seen).toEqual([1, 3]);
});

test('what takes long to draw has a frame of its own', () => {
  const now = performance.now.bind(performance);
  let drawnMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now() + drawnMs);
  store.subscribe(() => {
    drawnMs += 20;
  });
  const other = new Numbers();
  const others: number[] = [];
  other.subscribe(() => others.push(other.snapshot()));
  store.add();
  other.add();
  vi.advanceTimersToNextFrame();
  expect([seen, others]).toEqual([[1], []]);
  store.add();
  vi.advanceTimersToNextFrame();
  expect([seen, others]).toEqual([[1, 2], [1]]);
});
