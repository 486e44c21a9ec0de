/**
 * Base of every store: state changes as often as it likes, React hears of it at most once per animation frame. A hidden
 * tab has no frames, so it pays nothing for rendering and catches up when it is shown.
 */
import { useSyncExternalStore } from 'react';

/** What may be drawn in one frame before others wait for the next: what comes all at once must not be one long task. */
const FRAME_BUDGET_MS = 8;

let frame = { at: -Infinity, begunAt: 0 };

/** `at` is the time that a frame has of the browser, the same for all that is drawn in it. */
function isSpent(at: number): boolean {
  if (at === frame.at) return performance.now() - frame.begunAt > FRAME_BUDGET_MS;
  frame = { at, begunAt: performance.now() };
  return false;
}

export abstract class FrameStore<View> {
  readonly #listeners = new Set<() => void>();
  #frameRequested = false;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #shownAt = -Infinity;
  #view: { current: View } | undefined;

  /** The state as immutable data; called at most once per frame with changes. */
  protected abstract view(): View;

  /**
   * At least so long, in milliseconds, from one view to the next: for what is dear to draw and changes faster than
   * anybody reads. What changes after a longer silence is shown with the next frame all the same.
   */
  protected restMs(): number {
    return 0;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The view of the last frame, the same object until the next one. */
  readonly snapshot = (): View => {
    this.#view ??= { current: this.view() };
    return this.#view.current;
  };

  protected changed(): void {
    if (this.#frameRequested || this.#rest !== undefined) return;
    const rest = this.#shownAt + this.restMs() - performance.now();
    if (rest <= 0) {
      this.#requestFrame();
      return;
    }
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      this.#requestFrame();
    }, rest);
  }

  /** The same for what somebody at the page has done: it is shown with the next frame, whatever the rest. */
  protected changedByHand(): void {
    clearTimeout(this.#rest);
    this.#rest = undefined;
    if (!this.#frameRequested) this.#requestFrame();
  }

  #requestFrame(): void {
    this.#frameRequested = true;
    requestAnimationFrame((at) => {
      if (isSpent(at)) {
        this.#requestFrame();
        return;
      }
      this.#frameRequested = false;
      this.#shownAt = performance.now();
      this.#view = undefined;
      for (const listener of this.#listeners) listener();
    });
  }
}

export function useStore<View>(store: FrameStore<View>): View {
  return useSyncExternalStore(store.subscribe, store.snapshot);
}

/** Renders again only when the selected part is another value. `select` must not make new objects. */
export function useStoreValue<View, Value>(store: FrameStore<View>, select: (view: View) => Value): Value {
  return useSyncExternalStore(store.subscribe, () => select(store.snapshot()));
}
