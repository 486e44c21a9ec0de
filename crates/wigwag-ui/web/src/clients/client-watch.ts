/**
 * Looks again and again how the clients are that stand behind some Wills. Who has been found is asked for by name as well:
 * with its Will published, it would not be found any more.
 */
import { FrameStore } from '../ui/frame-store.ts';
import type { ClientFacts, FindClients } from './client-facts.ts';

export interface WatchView {
  clients: readonly ClientFacts[];
  beyond: number;
  /** When they were as they are shown; undefined until the first answer. */
  at: number | undefined;
  /** Why there is no later answer. */
  problem: string | undefined;
}

export const LOOK_EVERY_MS = 5_000;
/** More would keep the broker busy for little. */
const TOPICS_MAX = 4;
const NAMES_MAX = 16;

export class ClientWatch extends FrameStore<WatchView> {
  readonly #topics: readonly string[];
  readonly #find: FindClients;
  #names: readonly string[] = [];
  #view: WatchView = { clients: [], beyond: 0, at: undefined, problem: undefined };

  constructor(topics: readonly string[], find: FindClients) {
    super();
    this.#topics = topics.slice(0, TOPICS_MAX);
    this.#find = find;
  }

  /** Until the returned function is called. */
  watch(): () => void {
    const stopped = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const round = async (): Promise<void> => {
      await this.#look(stopped.signal);
      if (!stopped.signal.aborted) timer = setTimeout(() => void round(), LOOK_EVERY_MS);
    };
    void round();
    return () => {
      stopped.abort();
      clearTimeout(timer);
    };
  }

  protected override view(): WatchView {
    return this.#view;
  }

  async #look(stopped: AbortSignal): Promise<void> {
    try {
      const byWill = await Promise.all(this.#topics.map((topic) => this.#find({ topic }, stopped)));
      const clients = new Map(byWill.flatMap((found) => found.clients.map((client) => [client.id, client])));
      const lost = this.#names.filter((id) => !clients.has(id));
      const byName = await Promise.all(lost.map((id) => this.#find({ id }, stopped)));
      for (const client of byName.flatMap((found) => found.clients)) clients.set(client.id, client);
      if (stopped.aborted) return;
      this.#names = [...clients.keys()].slice(0, NAMES_MAX);
      const beyond = byWill.reduce((sum, found) => sum + found.beyond, 0);
      this.#view = { clients: [...clients.values()], beyond, at: Date.now(), problem: undefined };
    } catch (error) {
      if (stopped.aborted) return;
      this.#view = { ...this.#view, problem: error instanceof Error ? error.message : String(error) };
    }
    this.changed();
  }
}
