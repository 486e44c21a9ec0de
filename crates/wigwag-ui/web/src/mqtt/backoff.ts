/** How long to wait before the next attempt to connect: full jitter under a doubling ceiling. */
const CEILING_FIRST_MS = 1_000;
const CEILING_LAST_MS = 30_000;
/** Jitter may draw next to nothing; a broker that is starting up gains nothing from being asked that soon. */
const DELAY_MIN_MS = 500;

/** `attempt` is 1 for the first wait after a connection that lasted; `random` is in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  const ceiling = Math.min(CEILING_LAST_MS, CEILING_FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(Math.max(DELAY_MIN_MS, random * ceiling));
}
