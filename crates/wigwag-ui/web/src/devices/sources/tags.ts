/** Tags as a device tells them: a list of short words. Pure, and bounded, because the list is a stranger's. */
export const TAGS_MAX = 16;
export const TAG_CHARS_MAX = 60;

/** Those of the list that are tags, each once. The same list as before when it says the same. */
export function tagsOf(value: unknown, before: readonly string[]): readonly string[] {
  const all = Array.isArray(value) ? (value as unknown[]) : [];
  const tags = [...new Set(all.filter(isTag))].slice(0, TAGS_MAX);
  return tags.length === before.length && tags.every((tag, index) => tag === before[index]) ? before : tags;
}

function isTag(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '' && value.length <= TAG_CHARS_MAX;
}
