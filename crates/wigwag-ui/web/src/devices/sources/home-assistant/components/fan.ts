/** Fans: on and off, how fast, in which manner and direction. Pure. */
import { Maker, RANK, wordsFor } from '../maker.ts';
import { makeSwitch } from './plain.ts';

export function makeFan(maker: Maker): void {
  makeSwitch(maker);
  speed(maker);
  choice(maker, 'preset_mode', maker.list('preset_modes'), 'mode');
  choice(maker, 'direction', ['forward', 'reverse']);
  oscillation(maker);
}

/** Told and set in steps of its own, if it names their range. */
function speed(maker: Maker): void {
  const isPercent = !maker.has('speed_range_min') && !maker.has('speed_range_max');
  const unit = isPercent ? '%' : undefined;
  const named = maker.part('speed');
  const reading = maker.reading('percentage_value_template');
  maker.field({ ...named, unit, kind: 'number', rank: RANK.secondary, reading }, 'percentage_state_topic');
  const { min, max } = maker.range('speed_range_min', isPercent ? 0 : 1, 'speed_range_max', 100);
  const how = { topic: 'percentage_command_topic', template: 'percentage_command_template' };
  maker.control({ kind: 'number', min, max, step: 1, unit }, how, named);
}

/** A word of a list, with topics of its own. */
export function choice(maker: Maker, name: string, options: readonly string[], word = name): void {
  const named = maker.part(word);
  const reading = maker.reading(`${name}_value_template`, `${name}_state_template`);
  maker.field({ ...named, unit: undefined, reading }, `${name}_state_topic`);
  const how = { topic: `${name}_command_topic`, template: `${name}_command_template` };
  if (options.length > 0) maker.control({ kind: 'select', options }, how, named);
}

function oscillation(maker: Maker): void {
  const named = maker.part('oscillation');
  const truths = {
    on: maker.payload('payload_oscillation_on') ?? 'oscillate_on',
    off: maker.payload('payload_oscillation_off') ?? 'oscillate_off',
  };
  const words = { on: 'on', off: 'off' };
  const reading = maker.reading('oscillation_value_template');
  maker.field(
    { ...named, kind: 'truth', truths, words, unit: undefined, reading },
    'oscillation_state_topic',
  );
  const how = { topic: 'oscillation_command_topic', template: 'oscillation_command_template' };
  maker.control({ kind: 'switch' }, { ...how, words: wordsFor(truths) }, named);
}
