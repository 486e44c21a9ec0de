/** The topics that the command palette offers: those of the message log, and the one that was typed. */
import type { Station } from '../../station.ts';
import { topicPath } from '../links.ts';
import type { Findings } from '../screens.tsx';
import { matching } from './match.ts';

export function findTopics(station: Station, text: string, max: number): Findings {
  const typed = text.trim();
  if (typed === '') return { title: 'Topics', found: [], beyond: 0 };
  const heard = [...new Set(station.log.snapshot().entries.map(({ topic }) => topic))];
  const fitting = matching(heard, typed, (topic) => ({ name: topic, about: '' }));
  const topics = isTopic(typed) && !fitting.includes(typed) ? [typed, ...fitting] : fitting;
  return {
    title: 'Topics',
    found: topics
      .slice(0, max)
      .map((topic) => ({ name: topic, about: 'In the Explorer', to: topicPath(topic) })),
    beyond: Math.max(0, topics.length - max),
  };
}

/** Looks like a topic, rather than like any other word. */
function isTopic(text: string): boolean {
  return text.includes('/') && !/[+#]/.test(text);
}
