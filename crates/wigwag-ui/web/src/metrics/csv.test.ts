import { expect, test } from 'vitest';

import { csvOf } from './csv.ts';
import { Recorder } from './recording.ts';

test('a recording is a row per moment, with what is unknown left empty', () => {
  const recorder = new Recorder();
  recorder.add(0, [{ name: 'b', labels: { x: 'y' }, value: 1.5 }]);
  recorder.add(2_000, [
    { name: 'b', labels: { x: 'y' }, value: 2 },
    { name: '=a', labels: {}, value: 3 },
  ]);
  expect(csvOf(recorder.recording()).split('\r\n')).toEqual([
    `"time","'=a","b{x=""y""}"`,
    '1970-01-01T00:00:00.000Z,,1.5',
    '1970-01-01T00:00:02.000Z,3,2',
    '',
  ]);
});
