/**
 * The brokers that this page knows, and a station for each that has been looked at: with its connection, its devices and
 * its Explorer, which go on while another one is shown. Which one that is stands in the page's address. A station is of
 * one user: the next one's takes its place.
 */
import { createContext, use } from 'react';

import type { Broker, Config } from './config.ts';
import { chooseBroker } from './config.ts';
import type { Port } from './mqtt/connection.ts';
import type { Credentials, LinkStatus } from './mqtt/protocol.ts';
import { Station } from './station.ts';
import { FrameStore } from './ui/frame-store.ts';

/** What this browser keeps of the brokers that its user has added. */
export interface Kept {
  name: string;
  url: string;
}

export interface Listed {
  broker: Broker;
  /** Absent while nothing has been opened. */
  status: LinkStatus | undefined;
}

export class Stations extends FrameStore<readonly Listed[]> {
  readonly #openPort: () => Port;
  readonly #served: readonly Broker[];
  readonly #prepare: (station: Station) => void;
  readonly #stations = new Map<Broker, Station>();
  #kept: readonly Broker[] = [];
  /** Named by the page's address alone. */
  #strangers: Broker[] = [];

  /** `prepare` is called with each station that is opened. */
  constructor(
    openPort: () => Port,
    brokers: Config['brokers'],
    prepare: (station: Station) => void = () => undefined,
  ) {
    super();
    this.#openPort = openPort;
    this.#served = brokers;
    this.#prepare = prepare;
  }

  /** The station of the broker that the address names: without one, that of the first. */
  at(wanted: string | null): Station | undefined {
    const brokers = this.#brokers();
    const broker = wanted ? chooseBroker(brokers, wanted) : brokers[0];
    if (broker === undefined) return undefined;
    if (!brokers.includes(broker)) {
      this.#strangers.push(broker);
      this.changed();
    }
    return this.#open(broker);
  }

  /** For who wants to see how all of them are. */
  openAll(): void {
    for (const broker of this.#brokers()) this.#open(broker);
  }

  /** Exactly these are kept from now on; a station that is open stays so until the page is closed. */
  keep(kept: readonly Kept[]): void {
    const known = this.#brokers();
    this.#kept = kept
      .filter(({ name }) => !this.#served.some((served) => served.name === name))
      .map(({ name, url }) => {
        const before = known.find((broker) => broker.name === name && isAt(broker, url));
        return before?.from === 'browser' ? before : { name, address: { url }, from: 'browser' };
      });
    this.#strangers = this.#strangers.filter((broker) => !kept.some(({ url }) => isAt(broker, url)));
    this.changed();
  }

  /** Of the first one, no word is needed. */
  searchFor(broker: Broker): string {
    if (broker === this.#served[0]) return '';
    return `?${new URLSearchParams({ broker: broker.name }).toString()}`;
  }

  protected override view(): readonly Listed[] {
    return this.#brokers().map((broker) => ({
      broker,
      status: this.#stations.get(broker)?.connection.snapshot().status,
    }));
  }

  #brokers(): Broker[] {
    return [...this.#served, ...this.#kept, ...this.#strangers];
  }

  #open(broker: Broker): Station {
    return this.#stations.get(broker) ?? this.#begin(broker);
  }

  #begin(broker: Broker, credentials?: Credentials): Station {
    const station = new Station(this.#openPort(), broker, {
      credentials,
      succeed: (next) => {
        if (this.#stations.get(broker) !== station) return;
        station.end();
        this.#begin(broker, next);
      },
    });
    this.#stations.set(broker, station);
    this.#prepare(station);
    station.connection.subscribe(() => {
      this.changed();
    });
    this.changed();
    return station;
  }
}

function isAt({ address }: Broker, url: string): boolean {
  return 'url' in address && address.url === url;
}

const NO_PORT = (): Port => ({ post: () => undefined, listen: () => undefined, end: () => undefined });

/** A part of the page that stands alone, as in a test, has one station and knows of no others. */
const StationsContext = createContext(new Stations(NO_PORT, []));

export const StationsProvider = StationsContext.Provider;

export function useStations(): Stations {
  return use(StationsContext);
}
