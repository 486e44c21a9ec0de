/**
 * Where the broker is. The server that serves the page says it in `config.json`, `?broker=ws://…` in the page's address
 * overrides it for the tab, and without either the broker is expected on the page's own host.
 */
export interface Config {
  broker: { url: string } | { problem: string };
  /** The broker is in the page's address, and the server may mean another one. */
  isChosen: boolean;
  version?: string;
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
  const { mqtt, version } = readServed(served);
  const override = new URLSearchParams(location.search).get('broker');
  const broker = override
    ? checkUrl(override, 'The address after ?broker=')
    : mqtt.url !== undefined
      ? checkUrl(mqtt.url, 'The address in config.json')
      : { url: urlOnPageHost(mqtt.port ?? PORT_DEFAULT, location) };
  const isChosen = Boolean(override);
  return version === undefined ? { broker, isChosen } : { broker, isChosen, version };
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

function readServed(served: unknown): { mqtt: { url?: string; port?: number }; version?: string } {
  const mqtt: { url?: string; port?: number } = {};
  if (!isRecord(served)) return { mqtt };
  if (isRecord(served.mqtt)) {
    if (typeof served.mqtt.url === 'string') mqtt.url = served.mqtt.url;
    if (typeof served.mqtt.port === 'number') mqtt.port = served.mqtt.port;
  }
  return typeof served.version === 'string' ? { mqtt, version: served.version } : { mqtt };
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
