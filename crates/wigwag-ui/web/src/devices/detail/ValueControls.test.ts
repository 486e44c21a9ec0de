import { expect, test } from 'vitest';

import { valueOf } from './ValueControls.tsx';

const BASE = {
  key: 'k',
  label: 'K',
  topic: 't',
  qos: 0,
  retain: false,
  encoding: { as: 'text', before: '', after: '' },
  field: undefined,
  replies: false,
} as const;
const WHOLE = { ...BASE, kind: 'number', min: 0, max: 60, step: 1, unit: 's' } as const;
const HALVES = { ...WHOLE, step: 0.5 };
const CHOICE = { ...BASE, kind: 'select', options: ['calm', 'wild'] } as const;
const TEXT = { ...BASE, kind: 'text', lengthMax: 3 } as const;

test.each([
  [WHOLE, '25', 25],
  [WHOLE, ' 0 ', 0],
  [HALVES, '2.5', 2.5],
  [HALVES, '2,5', 2.5],
  [CHOICE, 'wild', 'wild'],
  [TEXT, '', ''],
] as const)('%o takes %j', (control, text, value) => {
  expect(valueOf(control, text)).toEqual({ value });
});

test.each([
  [WHOLE, '61', 'A whole number from 0 to 60 is allowed.'],
  [WHOLE, '2.5', 'A whole number from 0 to 60 is allowed.'],
  [WHOLE, '', 'A whole number from 0 to 60 is allowed.'],
  [HALVES, 'x', 'A number from 0 to 60 is allowed.'],
  [CHOICE, 'other', 'Choose one of the list.'],
  [TEXT, 'abcd', 'At most 3 characters are allowed.'],
] as const)('%o does not take %j', (control, text, problem) => {
  expect(valueOf(control, text)).toEqual({ problem });
});
