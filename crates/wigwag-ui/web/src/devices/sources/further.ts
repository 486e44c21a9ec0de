/** The sources that the first picture of the page does not wait for: they are loaded after it. */
import { HomeAssistantSource } from './home-assistant/home-assistant-source.ts';
import { SparkplugSource } from './sparkplug/sparkplug-source.ts';
import type { Source, SourceTools } from './source.ts';

export function furtherSources(tools: SourceTools): readonly Source[] {
  return [new HomeAssistantSource(tools), new SparkplugSource(tools)];
}
