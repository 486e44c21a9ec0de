import { expect, test } from 'vitest';

import { formatValue } from './values.ts';

test.each([
  [0, '0'],
  [37.5, '37.5'],
  [-3, '−3'],
  [0.1 + 0.2, '0.3'],
  [1234567.891, '1234568'],
  [12345678, '1.23e+7'],
  [-0.00001, '−1.00e-5'],
  [1e308, '1.00e+308'],
])('%f is %s', (value, text) => {
  expect(formatValue(value)).toBe(text);
});
