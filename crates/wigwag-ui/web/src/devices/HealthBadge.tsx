/** Whether a device is there, in a word, with what the word means as its title. */
import type { Tone } from '../ui/Badge.tsx';
import { Badge } from '../ui/Badge.tsx';
import { formatAge, formatTime } from '../ui/format.ts';
import type { IconName } from '../ui/icons.tsx';
import type { Health } from './health.ts';

const BADGES: Record<Health['kind'], { tone: Tone; icon: IconName; word: string; title: string }> = {
  online: { tone: 'good', icon: 'online', word: 'Online', title: 'The device says it is connected' },
  offline: { tone: 'bad', icon: 'offline', word: 'Offline', title: 'The broker says the device is gone' },
  stale: { tone: 'warn', icon: 'clock', word: 'Stale', title: 'It should be publishing, but is silent' },
  'cut-off': {
    tone: 'quiet',
    icon: 'clock',
    word: 'Stale',
    title: 'This page is not connected to the broker',
  },
  unknown: {
    tone: 'quiet',
    icon: 'question',
    word: 'No presence',
    title: 'The device does not tell whether it is connected',
  },
};

export function HealthBadge({ condition, now }: { condition: Health; now: number }) {
  const { tone, icon, word, title } = BADGES[condition.kind];
  return (
    <Badge tone={tone} icon={icon} title={title}>
      <span data-testid="health" className="nums">
        {word}
        {condition.kind === 'stale' && ` ${formatAge(now - condition.since)}`}
        {condition.kind === 'cut-off' && ` since ${formatTime(condition.since, now)}`}
      </span>
    </Badge>
  );
}
