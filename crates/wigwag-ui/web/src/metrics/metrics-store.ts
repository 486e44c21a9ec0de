/**
 * All numbers of the broker, of the moment and of the last quarter of an hour. One per station: it begins when the page is
 * opened for the first time and goes on while the tab is open, so that who comes back finds what happened meanwhile.
 */
import type { Station } from '../station.ts';
import { perStation } from '../station.ts';
import { FrameStore } from '../ui/frame-store.ts';
import type { Exposition, Family } from './exposition.ts';
import type { Recording } from './recording.ts';
import { Recorder } from './recording.ts';
import type { Listener, Stop } from './sources.ts';
import { scrape, watchSys } from './sources.ts';

export type SourceName = 'metrics' | 'sys';

export interface MetricsView {
  source: SourceName;
  /** Of the last moment of which anything is known. */
  at: number | undefined;
  families: readonly Family[];
  recording: Recording;
  /** Why nothing has come since; absent while all is well. */
  problem: string | undefined;
  /** Samples that are not in `families`, or not in the recording, because they are too many. */
  beyond: number;
  unreadable: number;
}

export class MetricsStore extends FrameStore<MetricsView> implements Listener {
  readonly #source: SourceName;
  readonly #recorder = new Recorder();
  readonly #stop: Stop;
  #at: number | undefined;
  #last: Exposition = { families: [], unreadable: 0, beyond: 0 };
  #problem: string | undefined;

  constructor(source: SourceName, start: (listener: Listener) => Stop) {
    super();
    this.#source = source;
    this.#stop = start(this);
  }

  /** Asks for no more. */
  end(): void {
    this.#stop();
  }

  handleMoment(at: number, exposition: Exposition): void {
    this.#at = at;
    this.#last = exposition;
    this.#problem = undefined;
    this.#recorder.add(
      at,
      exposition.families.flatMap(({ samples }) => samples),
    );
    this.changed();
  }

  handleFailure(at: number, reason: string): void {
    this.#problem = reason;
    this.#recorder.addGap(at);
    this.changed();
  }

  protected override view(): MetricsView {
    const recording = this.#recorder.recording();
    const { families, unreadable, beyond } = this.#last;
    return {
      source: this.#source,
      at: this.#at,
      families,
      recording,
      problem: this.#problem,
      beyond: beyond + recording.beyond,
      unreadable,
    };
  }
}

export const metricsOf = perStation(open, (store) => {
  store.end();
});

function open(station: Station): MetricsStore {
  const path = station.broker.metrics;
  const url = path === undefined ? undefined : new URL(path, document.baseURI).href;
  if (url !== undefined) return new MetricsStore('metrics', (listener) => scrape(url, listener));
  return new MetricsStore('sys', (listener) =>
    watchSys((filter, handle) => station.watch(filter, handle), listener),
  );
}
