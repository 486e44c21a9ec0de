import { expect, test } from 'vitest';

import type { Family } from './exposition.ts';
import { fits, promqlOf } from './queries.ts';

const family = (changes: Partial<Family>): Family => ({
  name: 'a',
  kind: 'gauge',
  help: '',
  samples: [],
  ...changes,
});
const sample = (labels: Record<string, string>) => ({ name: 'a', labels, value: 1 });

test.each<[Partial<Family>, string | undefined]>([
  [{}, 'a'],
  [{ kind: 'counter' }, 'rate(a[5m])'],
  [
    { kind: 'counter', samples: [sample({ x: '1', y: '1' }), sample({ x: '2', y: '1' })] },
    'sum by (x, y) (rate(a[5m]))',
  ],
  [{ kind: 'histogram' }, 'histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m])))'],
  [{ name: '$SYS/broker/bytes/sent', kind: 'counter' }, 'rate(broker_bytes_sent[5m])'],
  [{ name: '$SYS/else' }, undefined],
])('%o is asked for by %s', (changes, expected) => {
  expect(promqlOf(family(changes))).toBe(expected);
});

test('a search finds words in any order, in name and help', () => {
  const found = family({ name: 'wigwag_queue_bytes', help: 'Bytes of messages that wait' });
  for (const text of ['', 'queue', 'WAIT queue', ' bytes ']) expect(fits(found, text), text).toBe(true);
  expect(fits(found, 'queue connections')).toBe(false);
});
