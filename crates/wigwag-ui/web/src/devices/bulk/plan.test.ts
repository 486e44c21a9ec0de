import { expect, test } from 'vitest';

import type { Control, Device, Encoding } from '../model.ts';
import { deviceWith } from '../testing.ts';
import type { Wish } from './plan.ts';
import { CHOICES_MAX, choicesOf, planOf } from './plan.ts';

const PLAIN: Encoding = { as: 'text', before: '', after: '' };

function made(changes: Partial<Device> & { id: string }): Device {
  return deviceWith({ id: changes.id }, changes);
}

function control(id: string, changes: Partial<Control> = {}): Control {
  return {
    key: 'power',
    label: 'Power',
    kind: 'switch',
    topic: `lamp/${id}/set`,
    qos: 1,
    retain: false,
    encoding: {
      ...PLAIN,
      words: [
        [true, 'ON'],
        [false, 'OFF'],
      ],
    },
    field: 'power',
    replies: false,
    ...changes,
  } as Control;
}

function lamp(id: string, ...controls: Control[]): Device {
  return made({ id, name: id, source: 'home-assistant', controls, commandTopic: undefined });
}

const NONE = new Map<string, string>();

function wish(devices: readonly Device[], value: string | number | boolean): Wish {
  const [choice] = choicesOf(devices).choices;
  if (choice === undefined) throw new Error('no choice');
  return { kind: 'control', choice: choice.id, label: choice.label, value };
}

test('a choice is a control of the same name and kind, those of most devices first', () => {
  const devices = [
    lamp('a', control('a'), control('a', { key: 'level', label: 'Level', kind: 'number' })),
    lamp('b', control('b'), control('b', { kind: 'text' })),
    lamp('c', control('c')),
  ];
  const { choices, beyond, custom } = choicesOf(devices);
  expect(choices.map(({ label, kind, count }) => [label, kind, count])).toEqual([
    ['Power', 'switch', 3],
    ['Level', 'number', 1],
    ['Power', 'text', 1],
  ]);
  expect([beyond, custom]).toEqual([0, 0]);
});

test('too many choices are counted', () => {
  const controls = Array.from({ length: CHOICES_MAX + 7 }, (_, index) => control('a', { key: `k${index}` }));
  const { choices, beyond } = choicesOf([lamp('a', ...controls)]);
  expect([choices.length, beyond]).toEqual([CHOICES_MAX, 7]);
});

test('the plan has topic and payload of each device, and says who cannot and why', () => {
  const devices = [lamp('a', control('a')), lamp('b'), lamp('c', control('c')), lamp('d', control('d'))];
  const plan = planOf(devices, wish(devices, true), new Map([['d', 'is offline']]));
  expect(plan.steps.map(({ topic, payload }) => [topic, payload])).toEqual([
    ['lamp/a/set', 'ON'],
    ['lamp/c/set', 'ON'],
  ]);
  expect(plan.unable.map(({ title, why }) => [title, why])).toEqual([
    ['b', 'has no “Power”'],
    ['d', 'is offline'],
  ]);
});

test('every device has its own bounds', () => {
  const number = (id: string, max: number) =>
    lamp(id, control(id, { kind: 'number', min: 0, max, step: 1, encoding: PLAIN }));
  const levels = [number('a', 100), number('b', 255)];
  expect(planOf(levels, wish(levels, 200), NONE)).toMatchObject({
    steps: [{ topic: 'lamp/b/set', payload: '200' }],
    unable: [{ why: 'takes whole numbers from 0 to 100' }],
  });
  // What would be sent in its place is not what is shown.
  expect(planOf(levels, wish(levels, 1.5), NONE).steps).toEqual([]);
  expect(planOf(levels, wish(levels, Number.NaN), NONE).steps).toEqual([]);

  const select = (id: string, options: string[]) =>
    lamp(id, control(id, { kind: 'select', options, encoding: PLAIN }));
  const modes = [select('a', ['heat', 'off']), select('b', ['off', 'dry'])];
  expect(choicesOf(modes).choices[0]?.options).toEqual(['heat', 'off', 'dry']);
  expect(planOf(modes, wish(modes, 'dry'), NONE)).toMatchObject({
    steps: [{ topic: 'lamp/b/set', payload: 'dry' }],
    unable: [{ why: 'takes no “dry”' }],
  });
});

test("a payload of one's own goes where commands are answered", () => {
  const devices = [made({ id: '1', commandTopic: 'device/1/command' }), lamp('a', control('a'))];
  expect(choicesOf(devices).custom).toBe(1);
  expect(planOf(devices, { kind: 'custom', payload: '{"x":1}' }, NONE)).toMatchObject({
    steps: [{ topic: 'device/1/command', payload: '{"x":1}', act: { kind: 'custom' } }],
    unable: [{ why: 'takes no commands of this form' }],
  });
});

test('tags are retained for devices of the contract, where they change something', () => {
  const devices = [
    made({ id: '1', tags: ['hall', 'old'] }),
    made({ id: '2', tags: ['hall', 'new'] }),
    made({ id: '3', tags: Array.from({ length: 16 }, (_, index) => `t${index}`) }),
    lamp('a'),
  ];
  const plan = planOf(devices, { kind: 'tags', add: ['new'], remove: ['old'] }, NONE);
  expect(plan.steps.map(({ topic, payload, act }) => [topic, payload, act.kind])).toEqual([
    ['device/1/tags', '["hall","new"]', 'retain'],
  ]);
  expect(plan.unable.map(({ why }) => why)).toEqual([
    'has these tags already',
    'would have more than 16 tags',
    'its tags are not kept by the broker',
  ]);
});
