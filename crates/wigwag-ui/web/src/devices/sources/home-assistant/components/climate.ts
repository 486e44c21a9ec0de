/** What makes air or water warm, cold, wet or dry. Pure. */
import { Maker, RANK } from '../maker.ts';
import { choice } from './fan.ts';
import { makeSwitch } from './plain.ts';

const MODES = ['auto', 'off', 'cool', 'heat', 'dry', 'fan_only'];

export function makeClimate(maker: Maker): void {
  const unit = maker.text('temperature_unit') === 'F' ? '°F' : '°C';
  const reading = maker.reading('current_temperature_template');
  const current = maker.part('current', 'Temperature');
  maker.field({ ...current, unit, kind: 'number', rank: RANK.main, reading }, 'current_temperature_topic');
  target(maker, 'temperature', 'target', 'Target temperature', unit);
  target(maker, 'temperature_low', 'low', 'Lowest temperature', unit);
  target(maker, 'temperature_high', 'high', 'Highest temperature', unit);
  humidity(maker);
  const modes = maker.list('modes');
  const mode = maker.part('mode', 'Mode');
  maker.field(
    { ...mode, unit: undefined, reading: maker.reading('mode_state_template') },
    'mode_state_topic',
  );
  const how = { topic: 'mode_command_topic', template: 'mode_command_template' };
  maker.control({ kind: 'select', options: modes.length > 0 ? modes : MODES }, how, mode);
  choice(maker, 'fan_mode', list(maker, 'fan_modes', ['auto', 'low', 'medium', 'high']));
  choice(maker, 'swing_mode', list(maker, 'swing_modes', ['on', 'off']));
  choice(maker, 'preset_mode', maker.list('preset_modes'));
  action(maker);
}

export function makeHumidifier(maker: Maker): void {
  makeSwitch(maker);
  humidity(maker);
  choice(maker, 'mode', maker.list('modes'));
  action(maker);
}

function target(maker: Maker, name: string, part: string, label: string, unit: string): void {
  const named = maker.part(part, label);
  const reading = maker.reading(`${name}_state_template`);
  maker.field({ ...named, unit, kind: 'number', rank: RANK.primary, reading }, `${name}_state_topic`);
  const { min, max } = maker.range('min_temp', 7, 'max_temp', 35);
  const how = { topic: `${name}_command_topic`, template: `${name}_command_template` };
  maker.control({ kind: 'number', min, max, step: maker.number('temp_step') ?? 1, unit }, how, named);
}

function humidity(maker: Maker): void {
  const current = maker.part('humidity', 'Humidity');
  const reading = maker.reading('current_humidity_template');
  maker.field({ ...current, unit: '%', kind: 'number', reading }, 'current_humidity_topic');
  const wanted = maker.part('target_humidity', 'Target humidity');
  const wantedReading = maker.reading('target_humidity_state_template');
  maker.field(
    { ...wanted, unit: '%', kind: 'number', reading: wantedReading },
    'target_humidity_state_topic',
  );
  const { min, max } = maker.range('min_humidity', 0, 'max_humidity', 100);
  const how = { topic: 'target_humidity_command_topic', template: 'target_humidity_command_template' };
  maker.control({ kind: 'number', min, max, step: 1, unit: '%' }, how, wanted);
}

function action(maker: Maker): void {
  const named = maker.part('action', 'Action');
  maker.field({ ...named, unit: undefined, reading: maker.reading('action_template') }, 'action_topic');
}

function list(maker: Maker, name: string, otherwise: readonly string[]): readonly string[] {
  const told = maker.list(name);
  return told.length > 0 ? told : otherwise;
}
