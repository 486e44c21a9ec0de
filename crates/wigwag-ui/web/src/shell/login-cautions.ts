/** What to think of before giving a password away. Pure. */
const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\]|.*\.localhost)$/;

/** `isStranger`: the page's address names the broker, not the server that the page is from. */
export function loginCautions(url: string, isStranger: boolean): string[] {
  const cautions = [];
  if (isStranger) {
    cautions.push(
      'The address of this page names this broker. Go on only if you trust whoever gave it to you.',
    );
  }
  const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: '', hostname: '' };
  if (protocol === 'ws:' && !LOOPBACK.test(hostname)) {
    cautions.push(
      'The password crosses the network in the clear, because the address begins with ws:// and not wss://.',
    );
  }
  return cautions;
}
