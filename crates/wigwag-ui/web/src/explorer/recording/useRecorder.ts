/** How components reach the recorder. What is recorded and not saved goes with the station. */
import { perStation, useStation } from '../../station.ts';
import { openRecordingWorker, Recorder } from './recorder.ts';

const recorderOf = perStation(
  (station) => new Recorder(openRecordingWorker, station.connection),
  (recorder) => {
    recorder.discard();
  },
);

export function useRecorder(): Recorder {
  return recorderOf(useStation());
}
