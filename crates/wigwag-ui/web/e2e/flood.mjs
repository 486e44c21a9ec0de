/** A flood for the Explorer: 20,000 topics at 5,000 messages a second, or as fast as the broker takes them. */
const TOPICS = 20_000;
const PER_SECOND = 5_000;
const BEATS_PER_SECOND = 50;
const UNSENT_MAX = 1024 * 1024;

/** Ends with `clearInterval`. */
export function startFlood(client) {
  let next = 0;
  return setInterval(() => {
    // A broker that cannot follow is not to fill this process.
    if (client.stream.writableLength > UNSENT_MAX) return;
    for (let count = 0; count < PER_SECOND / BEATS_PER_SECOND; count++) {
      const index = next++ % TOPICS;
      const payload = JSON.stringify({ value: Math.random(), at: Date.now(), unit: '°C', state: 'running' });
      client.publish(`flood/${index % 200}/sensor/${Math.floor(index / 200)}`, payload);
    }
  }, 1_000 / BEATS_PER_SECOND);
}
