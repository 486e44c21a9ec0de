/** Numbers of unknown size as short text: seven digits, or a power of ten. */
const DIGITS = 7;
const PLAIN_MAX = 1e7;
const PLAIN_MIN = 1e-4;

const plain = new Intl.NumberFormat('en', { maximumSignificantDigits: DIGITS, useGrouping: false });

export function formatValue(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= PLAIN_MAX || size < PLAIN_MIN)) return minus(value.toExponential(2));
  return minus(plain.format(value));
}

function minus(text: string): string {
  return text.replace(/^-/, '−');
}
