import { describe, expect, test } from 'vitest';

import { readExposition, SAMPLES_MAX, selectorOf } from './exposition.ts';

const PAGE = `# HELP wigwag_packets_total MQTT packets, by direction and type
# TYPE wigwag_packets_total counter
wigwag_packets_total{direction="received",type="CONNECT"} 3
wigwag_packets_total{direction="sent",type="CONNACK"} 4
# HELP route_seconds From read to write
# TYPE route_seconds histogram
route_seconds_sum 0.5
route_seconds_count 3
route_seconds_bucket{le="0.1"} 2
route_seconds_bucket{le="+Inf"} 3
# HELP nothing_yet A family without samples
# TYPE nothing_yet gauge
`;

describe('a page', () => {
  test('is families with kind, help and samples', () => {
    const { families, unreadable, beyond } = readExposition(PAGE);
    expect([unreadable, beyond]).toEqual([0, 0]);
    expect(families.map(({ name, kind, samples }) => [name, kind, samples.length])).toEqual([
      ['wigwag_packets_total', 'counter', 2],
      ['route_seconds', 'histogram', 4],
      ['nothing_yet', 'gauge', 0],
    ]);
    expect(families[0]?.help).toBe('MQTT packets, by direction and type');
    expect(families[0]?.samples[1]).toEqual({
      name: 'wigwag_packets_total',
      labels: { direction: 'sent', type: 'CONNACK' },
      value: 4,
    });
  });

  test('may have values, labels and times of any form', () => {
    const { families, unreadable } = readExposition(
      'a NaN\nb +Inf 1700000000000\nc{x="a\\"b\\\\,}\\n", y=""} -1.5e3\nd{} 0\n',
    );
    expect(unreadable).toBe(0);
    expect(families.map(({ samples: [sample] }) => [sample?.value, sample?.labels])).toEqual([
      [NaN, {}],
      [Infinity, {}],
      [-1500, { x: 'a"b\\,}\n', y: '' }],
      [0, {}],
    ]);
  });

  test('is read as far as it can be', () => {
    const { families, unreadable } = readExposition('a 1\n<html>\nb{x=1} 2\nc x\n# just a word\nd 4\n');
    expect(families.map(({ name }) => name)).toEqual(['a', 'd']);
    expect(unreadable).toBe(3);
  });

  test('is bounded, and says what is beyond', () => {
    const lines = Array.from({ length: SAMPLES_MAX + 5 }, (_, index) => `a{i="${index}"} 1`);
    const { families, beyond } = readExposition(lines.join('\n'));
    expect(families[0]?.samples).toHaveLength(SAMPLES_MAX);
    expect(beyond).toBe(5);
  });
});

test('a sample is named as PromQL selects it', () => {
  expect(selectorOf({ name: 'a', labels: {} })).toBe('a');
  expect(selectorOf({ name: 'a', labels: { b: 'c"d' } })).toBe('a{b="c\\"d"}');
});
