/** Lights, which are spoken to in three ways. Their colours are shown by nobody here, which they say. Pure. */
import type { FieldValue } from '../../../model.ts';
import { Template } from '../jinja/template.ts';
import { Maker, RANK, wordsFor } from '../maker.ts';
import type { Reading } from '../template.ts';
import { readingOf } from '../template.ts';

const WORDS = { on: 'on', off: 'off' };
/** Modes without a colour. */
const COLOURLESS = new Set(['onoff', 'brightness', 'color_temp', 'white', 'unknown']);
const COLOUR_TOPICS = ['rgb', 'rgbw', 'rgbww', 'hs', 'xy'].map((name) => `${name}_command_topic`);
/** What templates of commands may ask for besides: of these lights, nothing but on and off is set. */
const TEMPLATE_NAMES = ['state', 'brightness', 'color_temp', 'color_temp_kelvin', 'red', 'green', 'blue', 'hue', 'sat', 'effect', 'flash', 'transition']; // prettier-ignore

export function makeLight(maker: Maker): void {
  const truths = maker.truths();
  const reading = maker.reading('state_value_template', 'value_template');
  maker.field({ kind: 'truth', truths, words: WORDS, unit: undefined, rank: RANK.main, reading });
  if (maker.text('on_command_type') !== 'brightness') {
    maker.control({ kind: 'switch' }, { words: wordsFor(truths) });
  } else {
    maker.problem(`${maker.self.label}: its brightness turns it on`);
    maker.button({ ...maker.self, label: `Turn off ${maker.self.label}` }, truths.off);
  }
  part(maker, 'brightness', 0, maker.number('brightness_scale') ?? 255);
  const { min, max } = maker.range('min_mireds', 153, 'max_mireds', 500);
  part(maker, 'color_temp', min, max, 'colour temperature', 'mired');
  const effects = maker.list('effect_list');
  const effect = maker.part('effect');
  maker.field({ ...effect, unit: undefined, reading: maker.reading('effect_value_template') }, 'effect_state_topic'); // prettier-ignore
  const how = { topic: 'effect_command_topic', template: 'effect_command_template' };
  if (effects.length > 0) maker.control({ kind: 'select', options: effects }, how, effect);
  if (COLOUR_TOPICS.some((name) => maker.has(name))) sayNoColour(maker);
}

/** A number with topics of its own. */
function part(maker: Maker, name: string, min: number, max: number, word = name, unit?: string): void {
  if (!maker.has(`${name}_command_topic`)) return;
  const named = maker.part(name, `${maker.self.label} ${word}`);
  const reading = maker.reading(`${name}_value_template`);
  maker.field({ ...named, unit, kind: 'number', rank: RANK.secondary, reading }, `${name}_state_topic`);
  const how = { topic: `${name}_command_topic`, template: `${name}_command_template` };
  maker.control({ kind: 'number', min, max, step: 1, unit }, how, named);
}

/** Its state and its commands are objects of JSON at one topic. */
export function makeJsonLight(maker: Maker): void {
  const truths = { on: 'ON', off: 'OFF' };
  maker.field({ kind: 'truth', truths, words: WORDS, unit: undefined, rank: RANK.main, reading: memberOf('state') }); // prettier-ignore
  maker.control(
    { kind: 'switch' },
    { words: wordsFor(truths), around: { before: '{"state":"', after: '"}' } },
  );
  const modes = maker.list('supported_color_modes');
  const isDimmable = maker.isTrue('brightness') || modes.some((mode) => mode !== 'onoff');
  if (isDimmable) memberNumber(maker, 'brightness', 0, maker.number('brightness_scale') ?? 255);
  if (modes.includes('color_temp')) {
    const isKelvin = maker.isTrue('color_temp_kelvin');
    const { min, max } = isKelvin
      ? maker.range('min_kelvin', 2_000, 'max_kelvin', 6_535)
      : maker.range('min_mireds', 153, 'max_mireds', 500);
    memberNumber(maker, 'color_temp', min, max, 'colour temperature', isKelvin ? 'K' : 'mired');
  }
  const effects = maker.list('effect_list');
  if (effects.length > 0) {
    const effect = maker.part('effect');
    maker.field({ ...effect, unit: undefined, reading: memberOf('effect') });
    const words = effects.map((one): [FieldValue, string] => [one, JSON.stringify(one)]);
    const around = { before: '{"state":"ON","effect":', after: '}' };
    maker.control({ kind: 'select', options: effects }, { words, around }, effect);
  }
  const isColoured = ['rgb', 'hs', 'xy'].some((name) => maker.isTrue(name));
  if (isColoured || modes.some((mode) => !COLOURLESS.has(mode))) sayNoColour(maker);
}

function memberNumber(
  maker: Maker,
  name: string,
  min: number,
  max: number,
  word = name,
  unit?: string,
): void {
  const named = maker.part(name, `${maker.self.label} ${word}`);
  maker.field({ ...named, unit, kind: 'number', rank: RANK.secondary, reading: memberOf(name) });
  const around = { before: `{"state":"ON","${name}":`, after: '}' };
  maker.control({ kind: 'number', min, max, step: 1, unit }, { around }, named);
}

function memberOf(name: string): Reading {
  return readingOf(`{{ value_json.${name} }}`);
}

/** What is sent to turn it on and off are two templates. */
export function makeTemplateLight(maker: Maker): void {
  const truths = { on: 'on', off: 'off' };
  const reading = maker.reading('state_template');
  if (maker.has('state_template')) {
    maker.field({ kind: 'truth', truths, words: WORDS, unit: undefined, rank: RANK.main, reading });
  }
  const [on, off] = ['on', 'off'].map((state) => {
    const template = Template.of(maker.payload(`command_${state}_template`) ?? '', TEMPLATE_NAMES);
    return template?.textOf(new Map([['state', state]]));
  });
  if (on === undefined || on === '' || off === undefined || off === '') {
    maker.problem(`${maker.self.label}: the template of its commands is beyond this page`);
    return;
  }
  maker.control({ kind: 'switch' }, { words: wordsFor({ on, off }), around: { before: '', after: '' } });
  maker.problem(`${maker.self.label}: nothing but on and off is set from this page`);
}

function sayNoColour(maker: Maker): void {
  maker.problem(`${maker.self.label}: colours are neither shown nor set here`);
}
