/** What every test starts from: a clean document, and the browser's parts that happy-dom lacks. */
import { cleanup, configure } from '@testing-library/react';
import { afterEach, vi } from 'vitest';

// What is waited for may be code that is loaded when it is needed, on machines that are busy.
configure({ asyncUtilTimeout: 30_000 });

// Makes React wait for what a test changes; testing-library sets it only where it finds a global `jest`-like hook.
(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});
