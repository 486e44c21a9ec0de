import { expect, test } from 'vitest';

import { Station } from '../../station.ts';
import { brokerAt } from '../../testing.ts';
import { findTopics } from './find-topics.ts';

function stationThatHeard(topics: string[]): Station {
  const port = { post: () => undefined, listen: () => undefined, end: () => undefined };
  const station = new Station(port, brokerAt('ws://b'));
  for (const topic of topics) {
    station.log.add({
      at: 0,
      direction: 'in',
      topic,
      text: '',
      bytes: 0,
      retain: false,
      qos: 0,
      problem: undefined,
    });
  }
  return station;
}

test.each<[string, string[], number]>([
  ['', [], 0],
  ['state', ['device/1/state', 'device/2/state'], 1],
  ['3/state', ['3/state', 'device/3/state'], 0],
  ['device/2/state', ['device/2/state'], 0],
  ['plant/#', [], 0],
  ['other', [], 0],
])('%j finds %j and %i more', (text, names, beyond) => {
  const station = stationThatHeard([1, 1, 2, 3].map((id) => `device/${id}/state`));
  const findings = findTopics(station, text, 2);
  expect(findings.found.map(({ name }) => name)).toEqual(names);
  expect(findings.beyond).toBe(beyond);
});

test('a topic leads to its place in the Explorer', () => {
  const { found } = findTopics(stationThatHeard([]), 'a//<b>', 8);
  expect(found).toMatchObject([{ to: '/explore/a/~/%3Cb%3E' }]);
});
