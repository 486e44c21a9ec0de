/** Times and numbers as text: short, with a fixed width where they tick. */
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Larger ones would break the layout; no thermometer shows them. */
const PLAIN_MAX = 1e5;

const oneDecimal = new Intl.NumberFormat('en', {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  useGrouping: false,
});
const grouped = new Intl.NumberFormat('en');

/** Such as “now”, “2 s”, “5 min”. */
export function formatAge(ms: number): string {
  if (ms < SECOND_MS) return 'now';
  if (ms < MINUTE_MS) return `${Math.floor(ms / SECOND_MS)} s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  return `${Math.floor(ms / DAY_MS)} d`;
}

export function formatAgo(ms: number): string {
  const age = formatAge(ms);
  return age === 'now' ? 'just now' : `${age} ago`;
}

/** How times of day are written: 24 or 12 hours of local time, or UTC. */
export const TIME_STYLES = ['24', '12', 'utc'] as const;
export type TimeStyle = (typeof TIME_STYLES)[number];

let timeStyle: TimeStyle = '24';

/** For everything that is shown from then on. */
export function setTimeStyle(style: TimeStyle): void {
  timeStyle = style;
}

/** Time of day; with the date when it was another day. */
export function formatTime(at: number, now: number = at, style: TimeStyle = timeStyle): string {
  const time = onTheClock(at, style);
  const isToday = now - at < DAY_MS && time.getUTCDate() === onTheClock(now, style).getUTCDate();
  return isToday ? formatClock(time, '', style) : `${formatDate(time)} ${formatClock(time, '', style)}`;
}

export function formatTimeMs(at: number): string {
  const time = onTheClock(at, timeStyle);
  return formatClock(time, `.${String(time.getUTCMilliseconds()).padStart(3, '0')}`, timeStyle);
}

export function formatTemperature(value: number): string {
  return Math.abs(value) < PLAIN_MAX ? oneDecimal.format(value).replace('-', '−') : value.toExponential(1);
}

export function formatCount(value: number): string {
  return grouped.format(value);
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${oneDecimal.format(bytes / 1024)} KiB`;
  return `${oneDecimal.format(bytes / 1024 / 1024)} MiB`;
}

/** A date whose UTC fields are what the user's clock shows. */
function onTheClock(at: number, style: TimeStyle): Date {
  return style === 'utc' ? new Date(at) : new Date(at - new Date(at).getTimezoneOffset() * MINUTE_MS);
}

function formatClock(time: Date, fraction: string, style: TimeStyle): string {
  const hours = time.getUTCHours();
  const rest = [time.getUTCMinutes(), time.getUTCSeconds()].map(twoDigits).join(':') + fraction;
  switch (style) {
    case '24':
      return `${twoDigits(hours)}:${rest}`;
    case '12':
      return `${hours % 12 === 0 ? 12 : hours % 12}:${rest} ${hours < 12 ? 'AM' : 'PM'}`;
    case 'utc':
      return `${twoDigits(hours)}:${rest}Z`;
  }
}

function formatDate(time: Date): string {
  return [time.getUTCFullYear(), twoDigits(time.getUTCMonth() + 1), twoDigits(time.getUTCDate())].join('-');
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
