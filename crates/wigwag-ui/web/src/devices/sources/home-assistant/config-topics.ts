/** Where devices introduce themselves to Home Assistant. Apart from what reads it, which is loaded when somebody does. */

/** Where Home Assistant looks unless it is told otherwise. */
export const PREFIX_DEFAULT = 'homeassistant';
const TOPIC_BYTES_MAX = 65_535;

export function configFilters(prefix: string): string[] {
  return [`${prefix}/+/+/config`, `${prefix}/+/+/+/config`];
}

export interface ConfigTopic {
  component: string;
  nodeId: string | undefined;
  objectId: string;
}

export function parseConfigTopic(topic: string, prefix: string): ConfigTopic | undefined {
  if (!topic.startsWith(`${prefix}/`)) return undefined;
  const levels = topic.slice(prefix.length + 1).split('/');
  if (levels.at(-1) !== 'config') return undefined;
  const [component = '', one = '', other = ''] = levels;
  if (levels.length === 3) return { component, nodeId: undefined, objectId: one };
  return levels.length === 4 ? { component, nodeId: one, objectId: other } : undefined;
}

/**
 * Why a prefix cannot be listened below, or nothing. Brokers end the connection for a filter that they cannot read, and
 * the page would ask for it again each time.
 */
export function whyNotPrefix(prefix: string): string | undefined {
  if (prefix === '')
    return `A prefix is needed; that of Home Assistant is ${PREFIX_DEFAULT} unless it is told otherwise.`;
  if (/[+#]/.test(prefix)) return 'The prefix is part of a topic, not of a filter: it has neither + nor #.';
  if (prefix.startsWith('/') || prefix.endsWith('/')) {
    return 'The prefix begins and ends with a name: leave out the / at its ends.';
  }
  if (prefix.startsWith('$'))
    return 'Topics that begin with $ belong to the broker: no device is found there.';
  const unreadable = UNREADABLE.exec(prefix)?.[0].codePointAt(0);
  if (unreadable !== undefined) {
    const code = unreadable.toString(16).toUpperCase().padStart(4, '0');
    return `The prefix has a character that brokers refuse in topics: U+${code}.`;
  }
  const room = TOPIC_BYTES_MAX - Math.max(...configFilters('').map((filter) => filter.length));
  const bytes = new TextEncoder().encode(prefix).length;
  if (bytes > room)
    return `The prefix has ${bytes} bytes; at most ${room} leave room for the rest of a topic.`;
  return undefined;
}

/** Characters of control, halves of pairs and noncharacters, [MQTT-1.5.4-1] and what follows it. */
const UNREADABLE = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;
