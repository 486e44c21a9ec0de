/** One ticking clock for everything that shows an age or a countdown; stands still while nothing listens. */
import { useSyncExternalStore } from 'react';

const TICK_MS = 500;

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(tick, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function tick(): void {
  now = Date.now();
  for (const listener of listeners) listener();
}

/** Stands still between ticks, as React asks of a store, but is never off by more, even if the system's clock is set. */
function current(): number {
  if (Math.abs(Date.now() - now) > TICK_MS) now = Date.now();
  return now;
}

export function useNow(): number {
  return useSyncExternalStore(subscribe, current);
}
