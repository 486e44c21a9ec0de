/** How components reach the recorder: one for each station, made when it is first asked for. */
import type { Station } from '../../station.ts';
import { useStation } from '../../station.ts';
import { openRecordingWorker, Recorder } from './recorder.ts';

const recorders = new WeakMap<Station, Recorder>();

export function useRecorder(): Recorder {
  const station = useStation();
  let recorder = recorders.get(station);
  if (recorder === undefined) {
    recorder = new Recorder(openRecordingWorker, station.connection);
    recorders.set(station, recorder);
  }
  return recorder;
}
