/** Where devices introduce themselves to Home Assistant. Apart from what reads it, which is loaded when somebody does. */

/** Where Home Assistant looks unless it is told otherwise. */
export const ROOT = 'homeassistant';
export const CONFIG_FILTERS = [`${ROOT}/+/+/config`, `${ROOT}/+/+/+/config`];

export interface ConfigTopic {
  component: string;
  nodeId: string | undefined;
  objectId: string;
}

export function parseConfigTopic(topic: string): ConfigTopic | undefined {
  const levels = topic.split('/');
  if (levels[0] !== ROOT || levels.at(-1) !== 'config') return undefined;
  const [, component = '', one = '', other = ''] = levels;
  if (levels.length === 4) return { component, nodeId: undefined, objectId: one };
  return levels.length === 5 ? { component, nodeId: one, objectId: other } : undefined;
}
