/**
 * Which brokers there are. The server that serves the page says it in `config.json`, and where it says nothing, a broker
 * is expected on the page's own host. The user may have added others, which this browser keeps. `?broker=` in the page's
 * address says which one the page shows, by its name, or names another by its address.
 */
export interface Config {
  /** At least one. */
  brokers: Broker[];
  version?: string;
}

export interface Broker {
  /** Unlike that of any other. */
  name: string;
  address: Address;
  /** Where people find it, if that is not where the browser goes. */
  place?: string;
  /** Who says that it exists: the server, this browser's user, or the page's address, which anybody can make. */
  from: 'server' | 'browser' | 'address';
  /** Where the server shows metrics of this broker, seen from the page's base; absent when it shows none. */
  metrics?: string;
  /** Where the server has this broker's own interface, seen from the page's base; absent with a broker of others. */
  api?: string;
}

/** What to show and to write into lines for a terminal. */
export function placeOf({ place, address }: Broker): string {
  return place ?? ('url' in address ? address.url : 'no usable address');
}

export type Address = { url: string } | { problem: string };

const PORT_DEFAULT = 9001;

/** `base` is what relative addresses of the page begin with. */
export async function loadConfig(base: string): Promise<Config> {
  return resolveConfig(await fetchConfig(new URL('config.json', base)), base);
}

export function resolveConfig(served: unknown, base: string): Config {
  const said = isRecord(served) ? served : {};
  return {
    brokers: readBrokers(said.brokers, base),
    ...(typeof said.version === 'string' ? { version: said.version } : {}),
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

function readBrokers(served: unknown, base: string): Broker[] {
  const brokers: Broker[] = [];
  for (const said of Array.isArray(served) ? served : []) {
    const broker = readBroker(said, base);
    if (broker !== undefined && !brokers.some(({ name }) => name === broker.name)) brokers.push(broker);
  }
  if (brokers.length > 0) return brokers;
  return [{ name: 'local', address: { url: urlOfPort(PORT_DEFAULT, base) }, from: 'server' }];
}

function readBroker(said: unknown, base: string): Broker | undefined {
  if (!isRecord(said) || typeof said.name !== 'string' || said.name === '') return undefined;
  const address = isRecord(said.mqtt) ? readAddress(said.mqtt, base) : undefined;
  if (address === undefined) return undefined;
  return {
    name: said.name,
    address,
    from: 'server',
    ...(typeof said.address === 'string' ? { place: said.address } : {}),
    ...(typeof said.metrics === 'string' ? { metrics: said.metrics } : {}),
    ...(typeof said.api === 'string' ? { api: said.api } : {}),
  };
}

function readAddress(mqtt: Record<string, unknown>, base: string): Address | undefined {
  if (typeof mqtt.url === 'string') return checkUrl(mqtt.url, 'The address in config.json');
  if (typeof mqtt.port === 'number') return { url: urlOfPort(mqtt.port, base) };
  if (typeof mqtt.path === 'string') return { url: urlOfPath(mqtt.path, base) };
  return undefined;
}

/** By its name or its address; one that nobody knows has the latter for a name. */
export function chooseBroker(brokers: readonly Broker[], wanted: string): Broker {
  const known = brokers.find(
    ({ name, address }) => name === wanted || ('url' in address && address.url === wanted),
  );
  if (known !== undefined) return known;
  return { name: wanted, address: checkUrl(wanted, 'The address after ?broker='), from: 'address' };
}

/** Is it an address that a browser can speak MQTT with? `where` begins the sentence about one that is not. */
export function checkUrl(text: string, where: string): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.username !== '' || url.password !== '')) {
    return {
      problem:
        'Leave user name and password out of the address: the page asks for them, and keeps them in memory only.',
    };
  }
  if (url?.protocol === 'ws:' || url?.protocol === 'wss:') return { url: text };
  return { problem: `${where} is “${text}”; it must begin with ws:// or wss://, as in ws://localhost:9001.` };
}

function urlOfPort(port: number, base: string): string {
  const { protocol, hostname } = new URL(base);
  return `${schemeFor(protocol)}//${hostname}:${port}`;
}

/** On the page's own origin, below the prefix that a proxy may have put us. */
function urlOfPath(path: string, base: string): string {
  const url = new URL(path, base);
  url.protocol = schemeFor(url.protocol);
  return url.href;
}

function schemeFor(protocol: string): 'ws:' | 'wss:' {
  return protocol === 'https:' ? 'wss:' : 'ws:';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
