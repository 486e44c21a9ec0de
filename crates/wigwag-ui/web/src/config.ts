/**
 * Where the broker is. The server that serves the page says it in `config.json`, `?broker=ws://…` in the page's address
 * overrides it for the tab, and without either the broker is expected on the page's own host.
 */
export interface Config {
  broker: { url: string } | { problem: string };
  /** The broker is in the page's address, and the server may mean another one. */
  isChosen: boolean;
  version?: string;
  /** Where the server shows metrics of that broker, seen from the page's base; absent when it shows none. */
  metrics?: string;
}

/** The part of `window.location` that matters here. */
export interface PageLocation {
  protocol: string;
  hostname: string;
  search: string;
}

const PORT_DEFAULT = 9001;

export async function loadConfig(base: string, location: PageLocation): Promise<Config> {
  return resolveConfig(await fetchConfig(new URL('config.json', base)), location);
}

export function resolveConfig(served: unknown, location: PageLocation): Config {
  const { mqtt, version, metrics } = readServed(served);
  const override = new URLSearchParams(location.search).get('broker');
  const broker = override
    ? checkUrl(override, 'The address after ?broker=')
    : mqtt.url !== undefined
      ? checkUrl(mqtt.url, 'The address in config.json')
      : { url: urlOnPageHost(mqtt.port ?? PORT_DEFAULT, location) };
  const isChosen = Boolean(override);
  return {
    broker,
    isChosen,
    ...(version === undefined ? {} : { version }),
    // Those are of the server's broker, not of another one that somebody chose.
    ...(metrics === undefined || isChosen ? {} : { metrics }),
  };
}

/** A development server has no config.json, or answers with its index.html: both count as nothing said. */
async function fetchConfig(url: URL): Promise<unknown> {
  try {
    const response = await fetch(url, { cache: 'no-store' });
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

interface Served {
  mqtt: { url?: string; port?: number };
  version?: string;
  metrics?: string;
}

function readServed(served: unknown): Served {
  const read: Served = { mqtt: {} };
  if (!isRecord(served)) return read;
  if (isRecord(served.mqtt)) {
    if (typeof served.mqtt.url === 'string') read.mqtt.url = served.mqtt.url;
    if (typeof served.mqtt.port === 'number') read.mqtt.port = served.mqtt.port;
  }
  if (typeof served.version === 'string') read.version = served.version;
  if (typeof served.metrics === 'string') read.metrics = served.metrics;
  return read;
}

/** Is it an address that a browser can speak MQTT with? `where` begins the sentence about one that is not. */
export function checkUrl(text: string, where: string): Config['broker'] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'ws:' || url?.protocol === 'wss:') return { url: text };
  return { problem: `${where} is “${text}”; it must begin with ws:// or wss://, as in ws://localhost:9001.` };
}

function urlOnPageHost(port: number, location: PageLocation): string {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return `${scheme}://${location.hostname}:${port}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
