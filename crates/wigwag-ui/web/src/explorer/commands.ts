/**
 * Lines for a terminal that show what a branch shows, from the same broker and as the same user. A password is never in
 * one: the line takes it from the environment.
 */
import { visible } from '../ui/visible.ts';

export interface Command {
  name: string;
  line: string;
  /** What the page cannot know. */
  note?: string;
}

/** The shell takes nothing that is between the quotes for more than a text. */
export function subscribeCommands(url: string, userName: string | undefined, filter: string): Command[] {
  const who = userName === undefined ? [] : ['-u', quoted(userName), '-P', '"$MQTT_PASSWORD"'];
  const what = [...who, '-v', '-t', quoted(filter)];
  const direct = directWay(url);
  if (direct !== undefined) {
    return ['wigwag sub', 'mosquitto_sub'].map((name) => ({
      name,
      line: [name, ...direct, ...what].join(' '),
    }));
  }
  const broker = brokerOf(url);
  const host = ['-h', quoted(broker.host)];
  const tls = broker.isSecure ? ['--tls-use-os-certs'] : [];
  const port = broker.isSecure ? 8883 : 1883;
  const commands = [
    {
      name: 'mosquitto_sub',
      line: ['mosquitto_sub', ...host, '-p', String(port), ...tls, ...what].join(' '),
      note: `${port} is the usual port; this page speaks WebSocket and does not know it.`,
    },
  ];
  // The tools ask for this path and no other.
  if (broker.path !== '/' && broker.path !== '/mqtt') return commands;
  const webSocket = ['--ws', '-p', String(broker.port), ...tls];
  return [
    { name: 'wigwag sub', line: ['wigwag sub', ...host, ...webSocket, ...what].join(' ') },
    ...commands,
  ];
}

const UNIX = 'unix://';

/** To a broker that the server of the page reaches for us: as the tools do, without WebSocket. */
function directWay(address: string): string[] | undefined {
  if (address.startsWith(UNIX)) return ['--unix', quoted(address.slice(UNIX.length))];
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const isSecure = url !== undefined && ['mqtts:', 'ssl:', 'tls:'].includes(url.protocol);
  if (url === undefined || !(isSecure || ['mqtt:', 'tcp:'].includes(url.protocol))) return undefined;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (isSecure ? '8883' : '1883') : url.port;
  return ['-h', quoted(host), '-p', port, ...(isSecure ? ['--tls-use-os-certs'] : [])];
}

interface Address {
  host: string;
  port: number;
  path: string;
  isSecure: boolean;
}

function brokerOf(address: string): Address {
  const url = URL.canParse(address) ? new URL(address) : new URL('ws://localhost:9001');
  const isSecure = url.protocol === 'wss:';
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
    path: url.pathname,
    isSecure,
  };
}

/**
 * In single quotes; what nobody sees by its bytes, because a terminal would act on it when the line is pasted, or show
 * another line than it runs.
 */
export function quoted(text: string): string {
  if (/^[\w./:@%-]+$/.test(text)) return text;
  if (visible(text) === text) return `'${text.replaceAll("'", `'\\''`)}'`;
  const escaped = Array.from(text, (character) => {
    if (character === "'" || character === '\\') return `\\${character}`;
    return visible(character) === character ? character : bytesOf(character);
  });
  return `$'${escaped.join('')}'`;
}

function bytesOf(character: string): string {
  return Array.from(new TextEncoder().encode(character), (byte) => `\\x${hex(byte)}`).join('');
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
