import { beforeEach, expect, test } from 'vitest';

import { readTemplates, TEMPLATES_MAX, useTemplates } from './templates.ts';

beforeEach(() => {
  localStorage.clear();
  useTemplates.setState(useTemplates.getInitialState());
});

test('are saved by name, replaced and removed', () => {
  const { save, remove } = useTemplates.getState();
  save({ name: 'b', payload: '1' });
  save({ name: 'a', payload: '2' });
  save({ name: 'b', payload: '3' });
  expect(useTemplates.getState().templates).toEqual([
    { name: 'a', payload: '2' },
    { name: 'b', payload: '3' },
  ]);
  expect(localStorage.getItem('wigwag.command-templates')).toContain('"payload":"3"');
  remove('a');
  expect(useTemplates.getState().templates).toHaveLength(1);
});

test('what cannot be kept says why', () => {
  const { save } = useTemplates.getState();
  expect(save({ name: '', payload: '1' })).toContain('1 to 60');
  expect(save({ name: 'x', payload: 'y'.repeat(9_000) })).toContain('8192');
  for (let index = 0; index < TEMPLATES_MAX; index++) save({ name: `${index}`, payload: '' });
  expect(save({ name: 'one more', payload: '' })).toContain('remove one');
});

test.each([undefined, null, 'x', { templates: 'x' }, { templates: [1, null, { name: 1 }, { name: 'a' }] }])(
  'nothing is made of %j',
  (stored) => {
    expect(readTemplates(stored)).toEqual([]);
  },
);
