/** What each kind of entity shows, offers and sends, from configurations in the manner of those that publish them. */
import { expect, test } from 'vitest';

import { payloadText } from '../../../encode.ts';
import type { FieldValue } from '../../../model.ts';
import { configOf } from '../abbreviations.ts';
import type { Entity } from '../entity.ts';
import { entityOf } from '../entity.ts';
import { Payload } from '../template.ts';
import { valueIn } from '../values.ts';

function entity(component: string, config: object): Entity {
  return entityOf(component, 'x', configOf({ name: 'X', ...config }) ?? new Map());
}

/** By the label of each field, what the message says of it. */
function told(of: Entity, topic: string, payload: unknown): Record<string, FieldValue | undefined> {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const fields = of.fields.filter((field) => field.topic === topic);
  return Object.fromEntries(fields.map((field) => [field.label, valueIn(field, new Payload(text))]));
}

function sent(of: Entity, label: string, value: FieldValue): [topic: string, payload: string | undefined] {
  const control = of.controls.find((one) => one.label === label);
  if (control === undefined)
    throw new Error(`no ${label} among ${of.controls.map((one) => one.label).join()}`);
  return [control.topic, payloadText(control, value)];
}

test('a switch whose state is made by a condition', () => {
  const of = entity('switch', {
    stat_t: 's',
    cmd_t: 's/set/child_lock',
    val_tpl: '{% if value_json.child_lock %} true {% else %} false {% endif %}',
    pl_on: 'true',
    pl_off: 'false',
  });
  expect(told(of, 's', { child_lock: true })).toEqual({ X: true });
  expect(told(of, 's', { child_lock: false })).toEqual({ X: false });
  expect(sent(of, 'X', true)).toEqual(['s/set/child_lock', 'true']);
});

test('a switch whose commands are long is sent them whole, or not at all', () => {
  const long = JSON.stringify({ args: Array.from({ length: 100 }, (_, index) => index) });
  const of = entity('switch', { cmd_t: 's', pl_on: long, pl_off: 'off' });
  expect(sent(of, 'X', true)).toEqual(['s', long]);
  const longer = entity('switch', { cmd_t: 's', pl_on: 'x'.repeat(5_000) });
  expect(longer.controls).toEqual([]);
  expect(longer.problems).toEqual(['X: payloads of more than 4096 characters are not sent']);
});

test('a template has the words of a switch or a button to work with', () => {
  const of = entity('switch', { cmd_t: 's', cmd_tpl: '{"relay": {{ 1 if value == "ON" else 0 }}}' });
  expect(sent(of, 'X', true)).toEqual(['s', '{"relay": 1}']);
  expect(sent(of, 'X', false)).toEqual(['s', '{"relay": 0}']);
  const button = entity('button', { cmd_t: 'b', cmd_tpl: '{{ value | lower }}' });
  expect(sent(button, 'X', 'PRESS')).toEqual(['b', 'press']);
});

test('a number whose commands are calculated', () => {
  const of = entity('number', { cmd_t: 'n', min: 0, max: 1, step: 0.01, cmd_tpl: '{{ (value | float * 100) | round(0) | int }}' }); // prettier-ignore
  expect(sent(of, 'X', 0.55)).toEqual(['n', '55']);
});

test('a template that can do nothing with a value sends nothing', () => {
  const of = entity('number', { cmd_t: 'n', min: 1, max: 4, step: 1, cmd_tpl: '{{ 1 / (value - 2.5) }}' });
  expect(sent(of, 'X', 3)).toEqual(['n', '2']);
  expect(sent(of, 'X', 2.5)).toEqual(['n', undefined]);
});

test('a scene is not pressed but turned on', () => {
  expect(sent(entity('scene', { cmd_t: 's' }), 'X', 'ON')).toEqual(['s', 'ON']);
});

test('a siren is spoken to in JSON unless it says how', () => {
  const of = entity('siren', { stat_t: 's', cmd_t: 'c' });
  expect(sent(of, 'X', true)).toEqual(['c', '{"state": "ON"}']);
  expect(told(of, 's', { state: 'OFF', tone: 'ping' })).toEqual({ X: false });
  expect(told(of, 's', 'ON')).toEqual({ X: true });
  expect(sent(entity('siren', { cmd_t: 'c', cmd_tpl: '{{ value }}' }), 'X', true)).toEqual(['c', 'ON']);
});

test('a sensor that does not tell its end says that it is over', () => {
  const of = entity('binary_sensor', { stat_t: 's', dev_cla: 'motion', off_dly: 30 });
  expect(of.fields[0]?.reading.doubt).toMatch(/over 30 s after/);
});

test('events, updates and trackers', () => {
  expect(told(entity('event', { stat_t: 's' }), 's', { event_type: 'press' })).toEqual({ X: 'press' });
  const update = entity('update', { stat_t: 's', val_tpl: '{"installed_version":"{{ value_json.u.i }}","latest_version":"{{ value_json.u.l }}"}' }); // prettier-ignore
  expect(told(update, 's', { u: { i: '1.0', l: '1.1' } })).toEqual({ X: '1.0', 'X available': '1.1' });
  expect(told(entity('update', { stat_t: 's' }), 's', '1.0')).toEqual({ X: '1.0', 'X available': undefined });
  expect(told(entity('device_tracker', { stat_t: 's' }), 's', 'not_home')).toEqual({ X: 'away' });
});

test('a light that is dimmed, coloured and has effects says what is left out', () => {
  const of = entity('light', {
    schema: 'json', stat_t: 'l', cmd_t: 'l/set', brightness: true, sup_clrm: ['rgb', 'color_temp'], fx_list: ['rainbow', 'a "b"'],
  }); // prettier-ignore
  expect(told(of, 'l', { state: 'ON', brightness: 9, color_temp: 300, effect: 'rainbow' })).toEqual({
    X: true,
    'X brightness': 9,
    'X colour temperature': 300,
    'X effect': 'rainbow',
  });
  expect(sent(of, 'X effect', 'a "b"')).toEqual(['l/set', '{"state":"ON","effect":"a \\"b\\""}']);
  expect(sent(of, 'X colour temperature', 200)).toEqual(['l/set', '{"state":"ON","color_temp":200}']);
  expect(of.problems).toEqual(['X: colours are neither shown nor set here']);
});

test('a light with topics for each of its parts', () => {
  const of = entity('light', {
    stat_t: 'r', cmd_t: 'p', bri_cmd_t: 'd', bri_stat_t: 'r', bri_val_tpl: '{{value_json.Dimmer}}', bri_scl: 100, stat_val_tpl: '{{value_json.POWER}}',
    clr_temp_cmd_t: 'ct', fx_cmd_t: 'fx', fx_list: [0, 1], hs_cmd_t: 'hs',
  }); // prettier-ignore
  expect(told(of, 'r', { POWER: 'ON', Dimmer: 40 })).toEqual({ X: true, 'X brightness': 40 });
  expect(sent(of, 'X effect', '1')).toEqual(['fx', '1']);
  expect(sent(of, 'X colour temperature', 200)).toEqual(['ct', '200']);
  expect(of.problems).toEqual(['X: colours are neither shown nor set here']);
});

test('a light that its brightness turns on has no payload for it', () => {
  const of = entity('light', { cmd_t: 'p', bri_cmd_t: 'd', on_cmd_type: 'brightness' });
  expect(of.controls.map(({ label }) => label)).toEqual(['Turn off X', 'X brightness']);
});

test('a light of templates is turned on and off by them', () => {
  const config = { schema: 'template', stat_t: 's', cmd_t: 'c', stat_tpl: '{{ value.split(",")[0] }}' };
  const of = entity('light', { ...config, cmd_on_tpl: 'on,{{ brightness|d }}', cmd_off_tpl: 'off' });
  expect(told(of, 's', 'on,255')).toEqual({ X: true });
  expect([sent(of, 'X', true), sent(of, 'X', false)]).toEqual([
    ['c', 'on,'],
    ['c', 'off'],
  ]);
  const odd = entity('light', { ...config, cmd_on_tpl: '{{ now() }}', cmd_off_tpl: 'off' });
  expect(odd.controls).toEqual([]);
  expect(odd.problems).toEqual(['X: the template of its commands is beyond this page']);
});

test('a light of a schema that nobody knows has a state alone', () => {
  const of = entity('light', { schema: 'other', stat_t: 's', cmd_t: 'c' });
  expect(of.controls).toEqual([]);
  expect(of.problems).toEqual(['X: commands of its kind are beyond this page']);
});

test('a fan of three speeds and a breeze', () => {
  const of = entity('fan', {
    stat_t: 'f', stat_val_tpl: '{{ value_json.fan_state }}', cmd_t: 'f/set/fan_state',
    pct_stat_t: 'f', pct_val_tpl: "{{ {'off':0, 'low':1, 'high':2}[value_json.fan_mode] | default('None') }}",
    pct_cmd_t: 'f/set/fan_mode', pct_cmd_tpl: "{{ {0:'off', 1:'low', 2:'high'}[value] | default('') }}", spd_rng_min: 1, spd_rng_max: 2,
    pr_mode_stat_t: 'f', pr_mode_cmd_t: 'f/set/fan_mode', pr_modes: ['smart'],
    pr_mode_val_tpl: "{{ value_json.fan_mode if value_json.fan_mode in ['smart'] else 'None' | default('None') }}",
    osc_cmd_t: 'f/osc', dir_cmd_t: 'f/dir',
  }); // prettier-ignore
  expect(told(of, 'f', { fan_state: 'ON', fan_mode: 'high' })).toEqual({
    X: true,
    'X speed': 2,
    'X mode': null,
  });
  expect(told(of, 'f', { fan_state: 'ON', fan_mode: 'smart' })).toMatchObject({ 'X speed': null, 'X mode': 'smart' }); // prettier-ignore
  expect(sent(of, 'X speed', 2)).toEqual(['f/set/fan_mode', 'high']);
  expect(sent(of, 'X mode', 'smart')).toEqual(['f/set/fan_mode', 'smart']);
  expect(sent(of, 'X oscillation', true)).toEqual(['f/osc', 'oscillate_on']);
  expect(sent(of, 'X direction', 'reverse')).toEqual(['f/dir', 'reverse']);
  expect(of.controls.find(({ label }) => label === 'X speed')).toMatchObject({
    min: 1,
    max: 2,
    unit: undefined,
  });
});

test('a thermostat with two temperatures, fan, swing and presets', () => {
  const of = entity('climate', {
    temp_lo_cmd_t: 'lo', temp_hi_cmd_t: 'hi', temp_lo_stat_t: 's', temp_lo_stat_tpl: '{{ value_json.low }}',
    fan_mode_cmd_t: 'fan', swing_mode_cmd_t: 'swing', swing_modes: ['both'], pr_mode_cmd_t: 'preset', pr_modes: ['eco'],
    act_t: 's', act_tpl: "{% set values = {None:None,'idle':'idle','heat':'heating'} %}{{ values[value_json.running] }}",
    curr_hum_t: 's', curr_hum_tpl: '{{ value_json.hum }}',
  }); // prettier-ignore
  expect(told(of, 's', { low: 19, running: 'heat', hum: 40 })).toEqual({
    'Lowest temperature': 19,
    Action: 'heating',
    Humidity: 40,
  });
  expect(sent(of, 'Highest temperature', 25)).toEqual(['hi', '25']);
  expect(sent(of, 'X fan mode', 'low')).toEqual(['fan', 'low']);
  expect(sent(of, 'X swing mode', 'both')).toEqual(['swing', 'both']);
  expect(sent(of, 'X preset mode', 'eco')).toEqual(['preset', 'eco']);
});

test('a humidifier', () => {
  const of = entity('humidifier', { cmd_t: 'c', hum_cmd_t: 'h', mode_cmd_t: 'm', modes: ['baby'] });
  expect(sent(of, 'X', true)).toEqual(['c', 'ON']);
  expect(sent(of, 'Target humidity', 45)).toEqual(['h', '45']);
  expect(sent(of, 'X mode', 'baby')).toEqual(['m', 'baby']);
});

test('a cover is moved to a place, and its states have names', () => {
  const of = entity('cover', {
    stat_t: 's', cmd_t: 'c', val_tpl: '{{ value_json.state }}', stat_open: 'OPEN', stat_clsd: 'CLOSE', pl_stop: null,
    pos_t: 's', pos_tpl: '{{ value_json.position }}', set_pos_t: 'c', set_pos_tpl: '{ "position": {{ position }} }', tilt_cmd_t: 't',
  }); // prettier-ignore
  expect(told(of, 's', { state: 'CLOSE', position: 0 })).toEqual({ X: 'closed', 'X position': 0 });
  expect(sent(of, 'X position', 70)).toEqual(['c', '{ "position": 70 }']);
  expect(sent(of, 'X tilt', 30)).toEqual(['t', '30']);
  expect(of.controls.filter(({ kind }) => kind === 'button').map(({ label }) => label)).toEqual(['Open X', 'Close X']); // prettier-ignore
});

test('a valve that tells its position is told one', () => {
  const of = entity('valve', { stat_t: 's', cmd_t: 'c', reports_position: true });
  expect(told(of, 's', '40')).toEqual({ X: 40 });
  expect(told(of, 's', { state: 'opening', position: 60 })).toEqual({ X: 60 });
  expect(told(of, 's', { state: 'opening' })).toEqual({ X: undefined });
  expect(sent(of, 'X', 25)).toEqual(['c', '25']);
  const other = entity('valve', { stat_t: 's', cmd_t: 'c' });
  expect(told(other, 's', 'closing')).toEqual({ X: 'closing' });
  expect(other.controls.map(({ label }) => label)).toEqual(['Open X', 'Close X']);
});

test('a lock is also on its way, and one with a code is not opened', () => {
  const of = entity('lock', { stat_t: 's', cmd_t: 'c' });
  expect(told(of, 's', 'LOCKING')).toEqual({ X: 'locking' });
  expect(told(of, 's', 'UNLOCKED')).toEqual({ X: false });
  expect(entity('lock', { cmd_t: 'c', code_format: '^\\d+$' })).toMatchObject({
    controls: [],
    problems: ['X: it wants a code, which this page does not ask for'],
  });
});

test.each([
  [
    'camera',
    { t: 'door/picture' },
    'X: pictures are not shown here; the Explorer shows those of door/picture',
  ],
  ['vacuum', { cmd_t: 'v' }, 'X: commands of its kind are beyond this page'],
  ['alarm_control_panel', { cmd_t: 'v' }, 'X: commands of its kind are beyond this page'],
  ['update', { stat_t: 'u', payload_install: '1' }, 'X: updates are not installed from this page'],
  ['sensor', { stat_t: 's', avty_t: 'a', avty_tpl: '{{ now() }}' }, 'The template of its availability is beyond this page'], // prettier-ignore
])('%s says what is not done', (component, config, problem) => {
  const of = entity(component, config);
  expect(of.controls).toEqual([]);
  expect(of.problems).toEqual([problem]);
});

test.each(['device_automation', 'tag'])('%s has nothing to show and nothing to say', (component) => {
  const of = entity(component, { t: 'x', cmd_t: 'y', stat_t: 'z' });
  expect([of.fields, of.controls, of.problems]).toEqual([[], [], []]);
});
