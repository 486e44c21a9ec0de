/**
 * Messages by which devices introduce themselves to Home Assistant: one entity each, or a device with all of its entities.
 * Pure; bounded, because the payloads are strangers'.
 */
import { TEXT_BYTES_MAX } from '../../../mqtt/protocol.ts';
import type { About } from '../../model.ts';
import type { Config } from './abbreviations.ts';
import { configOf, deviceOf } from './abbreviations.ts';
import type { ConfigTopic } from './config-topics.ts';
import type { Entity } from './entity.ts';
import { entityOf } from './entity.ts';

/** Of one device. */
export const ENTITIES_MAX = 64;
const IDENTIFIERS_MAX = 8;
const TEXT_CHARS_MAX = 200;

export interface Announcement {
  /** By any of these it is known as the same device. */
  identifiers: readonly string[];
  /** Absent where an entity speaks of no device. */
  name: string | undefined;
  about: About;
  entities: readonly Entity[];
  /** Entities beyond {@link ENTITIES_MAX}. */
  beyond: number;
}

export function announcementOf(
  topic: ConfigTopic,
  text: string,
  bytes: number,
): Announcement | { problem: string } {
  if (bytes > TEXT_BYTES_MAX) {
    return { problem: `${bytes} bytes are too many for a configuration (at most ${TEXT_BYTES_MAX})` };
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { problem: 'the configuration is not JSON' };
  }
  const config = configOf(json);
  if (config === undefined) return { problem: 'the configuration is not a JSON object' };
  const device = deviceOf(config.get('device'));
  const entities = topic.component === 'device' ? severalOf(config) : [[topic, config] as const];
  if ('problem' in entities) return entities;
  const { nodeId, objectId, component } = topic;
  const lone = [component, nodeId, objectId].filter((level) => level !== undefined).join('/');
  const identifiers = device === undefined ? [] : identifiersOf(device);
  return {
    identifiers: identifiers.length > 0 ? identifiers : [lone],
    name: textOf(device?.get('name')),
    about: aboutOf(device),
    entities: entities.slice(0, ENTITIES_MAX).map(([of, one]) => entityOf(of.component, of.objectId, one)),
    beyond: Math.max(0, entities.length - ENTITIES_MAX),
  };
}

/** A component without more than its platform has been taken away. What all have in common stands outside. */
function severalOf(config: Config): (readonly [ConfigTopic, Config])[] | { problem: string } {
  const components = config.get('components');
  if (typeof components !== 'object' || components === null || Array.isArray(components)) {
    return { problem: 'the configuration of a device has no "components"' };
  }
  const shared = [...config].filter(([name]) => !['components', 'device', 'origin', 'name'].includes(name));
  return Object.entries(components).flatMap(([objectId, value]) => {
    const own = configOf(value);
    const component = textOf(own?.get('platform'));
    if (own === undefined || component === undefined || own.size === 1) return [];
    return [[{ component, nodeId: undefined, objectId }, new Map([...shared, ...own])] as const];
  });
}

/** Of those without identifiers, the addresses that they are connected by. */
function identifiersOf(device: Config): string[] {
  const told = [device.get('identifiers')].flat().slice(0, IDENTIFIERS_MAX).map(textOf);
  const connections: unknown = device.get('connections');
  const addresses = Array.isArray(connections) ? connections.slice(0, IDENTIFIERS_MAX) : [];
  const all = [
    ...told,
    ...addresses.map((pair: unknown) => (Array.isArray(pair) ? textOf(pair[1] as unknown) : undefined)),
  ];
  return all.filter((id) => id !== undefined);
}

function aboutOf(device: Config | undefined): About {
  const about: About = {};
  const names = [
    ['manufacturer', 'manufacturer'],
    ['model', 'model'],
    ['firmware', 'sw_version'],
    ['hardware', 'hw_version'],
    ['serial', 'serial_number'],
    ['area', 'suggested_area'],
  ] as const;
  for (const [name, member] of names) {
    const text = textOf(device?.get(member));
    if (text !== undefined) about[name] = text;
  }
  return about;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value.slice(0, TEXT_CHARS_MAX) : undefined;
}
