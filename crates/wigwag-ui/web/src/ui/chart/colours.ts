/**
 * Colours and dashes of a chart's lines. A canvas takes no `var(--…)`, so the roles are looked up when it draws; two lines
 * of one chart never look alike, because the dashes change with every round of the colours.
 */
import { useSyncExternalStore } from 'react';

const LINES = 6;

const DASHES: readonly (readonly number[])[] = [[], [6, 4], [2, 3], [10, 3, 2, 3]];

export interface Palette {
  lines: readonly string[];
  grid: string;
  text: string;
}

/** The name of a line's colour, for what is not drawn on a canvas. */
export function lineColour(index: number): string {
  return `var(--chart-${index % LINES})`;
}

/** Different for neighbours as well: not everybody tells colours apart. */
export function lineDash(index: number): readonly number[] {
  return DASHES[(index + Math.floor(index / LINES)) % DASHES.length] ?? [];
}

/** As they are in this place of the document at this moment. */
export function paletteOf(place: HTMLElement): Palette {
  const probe = document.createElement('span');
  place.append(probe);
  const resolve = (role: string): string => {
    probe.style.color = role;
    return getComputedStyle(probe).color;
  };
  const lines = Array.from({ length: LINES }, (_, index) => resolve(lineColour(index)));
  const palette = { lines, grid: resolve('var(--line)'), text: resolve('var(--ink-faint)') };
  probe.remove();
  return palette;
}

/** Which theme holds; whoever draws on a canvas draws again when this is another one. */
export function useThemeName(): string {
  return useSyncExternalStore(subscribe, themeName);
}

function themeName(): string {
  return document.documentElement.dataset.theme ?? (night().matches ? 'dark' : 'light');
}

function night(): MediaQueryList {
  return matchMedia('(prefers-color-scheme: dark)');
}

function subscribe(listener: () => void): () => void {
  const chosen = new MutationObserver(listener);
  chosen.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  const system = night();
  system.addEventListener('change', listener);
  return () => {
    chosen.disconnect();
    system.removeEventListener('change', listener);
  };
}
