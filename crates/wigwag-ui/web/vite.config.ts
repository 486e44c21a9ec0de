/**
 * How the web UI is built and tested. Every address in the output is relative to the page's `<base>`, which the server
 * sets per page, so that deep links and proxies with a prefix find the assets.
 */
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import type { UserConfig } from 'vite';

import { licences } from './build/licences.ts';
import { pageHead } from './build/page-head.ts';
import { precompress } from './build/precompress.ts';

const config: UserConfig & { test: object } = {
  base: './',
  plugins: [react(), tailwindcss(), pageHead(), licences(), precompress()],
  worker: { format: 'es' },
  build: {
    target: 'es2023',
    // The content security policy forbids data: scripts and fonts, and a file is cheaper than base64 anyway.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { host: '127.0.0.1' },
  preview: { host: '127.0.0.1' },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/test-setup.ts'],
    restoreMocks: true,
    // A bound for what hangs; a busy machine takes its time.
    testTimeout: 60_000,
  },
};

export default config;
