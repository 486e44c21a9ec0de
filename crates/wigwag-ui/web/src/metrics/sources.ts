/**
 * Where numbers come from: `/metrics` beside this page, asked again and again, or the `$SYS` tree of whichever broker the
 * page is connected to. Both hand over all that is known at a moment, until they are stopped.
 */
import type { Incoming } from '../mqtt/protocol.ts';
import { pageFetch } from '../page-fetch.ts';
import type { Exposition } from './exposition.ts';
import { readExposition } from './exposition.ts';
import { familyOfTopic, readNumber, SYS_FILTER } from './sys-tree.ts';

export const SCRAPE_EVERY_MS = 2_000;
const SCRAPE_WITHIN_MS = 5_000;

export interface Listener {
  handleMoment: (at: number, exposition: Exposition) => void;
  /** Nothing is known of this moment. */
  handleFailure: (at: number, reason: string) => void;
}

export type Stop = () => void;

export function scrape(url: string, listener: Listener): Stop {
  const stopped = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const round = async (): Promise<void> => {
    const began = Date.now();
    try {
      const exposition = await fetchExposition(url, stopped.signal);
      if (!stopped.signal.aborted) listener.handleMoment(Date.now(), exposition);
    } catch (error) {
      if (!stopped.signal.aborted) listener.handleFailure(Date.now(), reasonOf(error));
    }
    if (stopped.signal.aborted) return;
    timer = setTimeout(() => void round(), Math.max(SCRAPE_EVERY_MS - (Date.now() - began), 0));
  };
  void round();
  return () => {
    stopped.abort();
    clearTimeout(timer);
  };
}

async function fetchExposition(url: string, stopped: AbortSignal): Promise<Exposition> {
  const response = await pageFetch(url, {
    headers: { accept: 'text/plain' },
    signal: AbortSignal.any([stopped, AbortSignal.timeout(SCRAPE_WITHIN_MS)]),
  });
  if (!response.ok) throw new Error(`the server answers ${response.status} to ${url}`);
  if (response.headers.get('content-type')?.startsWith('text/plain') !== true) {
    throw new Error(`${url} does not show metrics`);
  }
  return readExposition(await response.text());
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `the server did not answer within ${SCRAPE_WITHIN_MS / 1_000} s`;
  // What browsers say of a server that is not there differs, and says less.
  return error instanceof TypeError ? 'the server does not answer' : error.message;
}

/** A tree is published all at once, its unchanged numbers left out: when it is quiet again, the moment is complete. */
const QUIET_MS = 400;
/** A broker that publishes without a pause still has moments. */
const MOMENT_LASTS_MS = 2_000;
export const TOPICS_MAX = 2_000;

type Watch = (filter: string, handle: (message: Incoming) => void) => Stop;

export function watchSys(watch: Watch, listener: Listener): Stop {
  const numbers = new Map<string, number>();
  let [beyond, changedAt] = [0, 0];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const finish = (): void => {
    timer = undefined;
    const families = [...numbers].map(([topic, value]) => familyOfTopic(topic, value));
    listener.handleMoment(Date.now(), { families, unreadable: 0, beyond });
    beyond = 0;
  };
  const stop = watch(SYS_FILTER, ({ topic, text, bytes, at }) => {
    const value = readNumber(text);
    if (value === undefined) {
      // Empty is what removes a retained message; words are the version, or a line of the log.
      if (bytes === 0) numbers.delete(topic);
      return;
    }
    if (!numbers.has(topic) && numbers.size === TOPICS_MAX) {
      beyond += 1;
      return;
    }
    numbers.set(topic, value);
    if (timer === undefined) changedAt = at;
    else clearTimeout(timer);
    timer = setTimeout(finish, Math.max(Math.min(QUIET_MS, changedAt + MOMENT_LASTS_MS - Date.now()), 0));
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}
