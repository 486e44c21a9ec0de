/** Which topics a Topic Filter takes, as section 4.7 of the standard says. Filters are taken to be valid. */

export function matches(filter: string, topic: string): boolean {
  // Not wildcards at the beginning: what the broker says of itself is only for those who ask for it. [MQTT-4.7.2-1]
  if (topic.startsWith('$') && !filter.startsWith('$')) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (const [index, level] of wanted.entries()) {
    // It stands for its parent as well.
    if (level === '#') return true;
    if (level !== '+' && level !== levels[index]) return false;
    if (index >= levels.length) return false;
  }
  return wanted.length === levels.length;
}
