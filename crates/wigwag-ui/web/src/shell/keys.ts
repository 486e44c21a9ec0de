/**
 * The keys that hold on every page, read from keystrokes. Pure: it knows neither the document nor what the commands do.
 * Single keys are not read while somebody types, nor when the user has turned them off.
 */
export type KeyCommand =
  { kind: 'open'; path: string } | { kind: 'palette' } | { kind: 'keys' } | { kind: 'search' };

export interface Stroke {
  key: string;
  /** Ctrl, or the command key of a Mac. */
  hasCommand: boolean;
  hasAlt: boolean;
  /** The focus is where letters are text. */
  isTyping: boolean;
  at: number;
}

/** So long `g` waits for the second key. */
const SECOND_KEY_MS = 1_500;

export class KeyReader {
  readonly #screens: readonly { path: string; key: string }[];
  #wentAt: number | undefined;

  constructor(screens: readonly { path: string; key: string }[]) {
    this.#screens = screens;
  }

  read(stroke: Stroke, hasSingleKeys: boolean): KeyCommand | undefined {
    const { key, hasCommand, hasAlt, isTyping, at } = stroke;
    const wentAt = this.#wentAt;
    this.#wentAt = undefined;
    if (hasCommand && !hasAlt && key.toLowerCase() === 'k') return { kind: 'palette' };
    if (hasCommand || hasAlt || isTyping || !hasSingleKeys) return undefined;
    if (wentAt !== undefined && at - wentAt <= SECOND_KEY_MS) {
      const screen = this.#screens.find((one) => one.key === key);
      if (screen !== undefined) return { kind: 'open', path: `/${screen.path}` };
    }
    switch (key) {
      case 'g':
        this.#wentAt = at;
        return undefined;
      case '/':
        return { kind: 'search' };
      case '?':
        return { kind: 'keys' };
      default:
        return undefined;
    }
  }
}
