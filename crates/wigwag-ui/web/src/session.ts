/**
 * Who we are to the server of the page, where that is the broker too: a cookie that only the server reads stands for the
 * password, which is kept nowhere. The connection over MQTT is the same user's, because it goes to the same origin.
 */
import type { Ask } from './api.ts';
import { ask, isRecord, reasonIn, Refusal } from './api.ts';
import type { Credentials } from './mqtt/protocol.ts';
import { pageFetch } from './page-fetch.ts';
import type { Station } from './station.ts';
import { perStation } from './station.ts';
import { FrameStore } from './ui/frame-store.ts';

export interface SessionView {
  /** Something was not to be had without a login. */
  isNeeded: boolean;
}

/** What the server says of a session. */
interface Told {
  user: string | undefined;
}

export class Session extends FrameStore<SessionView> {
  readonly #api: URL;
  readonly #station: Pick<Station, 'connection' | 'login'>;
  readonly #beginAnew: () => void;
  #isNeeded = false;

  /** `api` is where the broker's own interface is; `beginAnew` forgets all that the page has seen. */
  constructor(api: string, station: Pick<Station, 'connection' | 'login'>, beginAnew = reload) {
    super();
    this.#api = new URL(api.endsWith('/') ? api : `${api}/`);
    this.#station = station;
    this.#beginAnew = beginAnew;
  }

  /** A session that has outlived a reload. */
  async find(): Promise<void> {
    const response = await this.#ask('GET');
    if (response?.ok !== true) return;
    const { user } = readTold(await jsonOf(response));
    if (user !== undefined) this.#station.connection.handleSession(user);
  }

  /** Resolves to why the server refused, or to nothing. A server without sessions or users leaves it to MQTT. */
  async login(credentials: Credentials): Promise<string | undefined> {
    const response = await this.#ask('POST', credentials);
    if (response === undefined) return 'there was no answer';
    const said = await jsonOf(response);
    if (!response.ok && response.status !== 404) return reasonIn(said) ?? `status ${response.status}`;
    const { user } = readTold(said);
    if (user === undefined) this.#station.login(credentials);
    else if (this.#station.connection.isOfAnother(user)) this.#beginAnew();
    else this.#station.connection.loginBySession(user);
    this.#setNeeded(false);
    return undefined;
  }

  /** What one user has seen is none of the next one's business. */
  async logout(): Promise<void> {
    const response = await this.#ask('DELETE');
    if (response?.ok === true) this.#beginAnew();
    else this.#station.login(undefined);
  }

  /** Something was refused to who has no session, or whose session is over: the page asks for a login. */
  handleRefused(): void {
    this.#setNeeded(true);
  }

  protected override view(): SessionView {
    return { isNeeded: this.#isNeeded };
  }

  #setNeeded(isNeeded: boolean): void {
    if (this.#isNeeded === isNeeded) return;
    this.#isNeeded = isNeeded;
    this.changed();
  }

  /** Nothing when there is no answer at all. */
  async #ask(method: 'GET' | 'POST' | 'DELETE', body?: Credentials): Promise<Response | undefined> {
    const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    try {
      const init = { method, ...(body !== undefined && json) } as const;
      return await pageFetch(new URL('session', this.#api), init);
    } catch {
      return undefined;
    }
  }
}

function reload(): void {
  location.reload();
}

/** For a broker that is the server of the page, and is spoken to there; made and looked for when it is first asked for. */
export const sessionOf = perStation((station): Session | undefined => {
  const { broker } = station;
  if (broker.api === undefined || 'problem' in broker.address) return undefined;
  const api = new URL(broker.api, document.baseURI).href;
  if (!isOnOrigin(broker.address.url, api)) return undefined;
  const session = new Session(api, station);
  void session.find();
  return session;
});

/** Questions to the broker's own interface, if it has one. What wants a login first has the page ask for it. */
export function askerOf(station: Station): Ask | undefined {
  const { api } = station.broker;
  if (api === undefined) return undefined;
  return async (path, query, stopped) => {
    try {
      return await ask(api, path, query, stopped);
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) sessionOf(station)?.handleRefused();
      throw error;
    }
  };
}

/** Whether a connection there is made with the cookies of the page: by its host and port, TLS or not. */
export function isOnOrigin(url: string, api: string): boolean {
  if (!URL.canParse(url)) return false;
  const [mqtt, http] = [new URL(url), new URL(api)];
  const isSecure = mqtt.protocol === 'wss:';
  return mqtt.host === http.host && isSecure === (http.protocol === 'https:');
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

function readTold(said: unknown): Told {
  const user = isRecord(said) && typeof said.user === 'string' ? said.user : undefined;
  return { user };
}
