/** The ways of speaking that a page learns when it hears one: their code is no part of a first visit. */
import { configFilters } from './home-assistant/config-topics.ts';
import type { Source, SourceTools } from './source.ts';
import { MEMBER_FILTERS, NAMESPACE } from './sparkplug/topics.ts';

export interface Way {
  /** What it subscribes to from the beginning. */
  filters: readonly string[];
  /** How the topics of all of them begin. */
  root: string;
  /** Loads what reads it. */
  load: () => Promise<(tools: SourceTools) => Source>;
}

export function homeAssistantBelow(prefix: string): Way {
  return {
    filters: configFilters(prefix),
    root: `${prefix}/`,
    load: async () => {
      const { HomeAssistantSource } = await import('./home-assistant/home-assistant-source.ts');
      return (tools) => new HomeAssistantSource(tools, prefix);
    },
  };
}

export const SPARKPLUG: Way = {
  filters: MEMBER_FILTERS,
  root: `${NAMESPACE}/`,
  load: async () => {
    const { SparkplugSource } = await import('./sparkplug/sparkplug-source.ts');
    return (tools) => new SparkplugSource(tools);
  },
};
