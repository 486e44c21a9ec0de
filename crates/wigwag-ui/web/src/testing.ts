/** Brokers for tests, which say of them only what matters there. */
import type { Broker } from './config.ts';

export function brokerAt(url: string, more: Partial<Broker> = {}): Broker {
  return { name: url, address: { url }, from: 'server', ...more };
}
