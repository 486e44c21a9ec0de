/** Entities with one value, or one command, or one of each. Pure. */
import { Maker, RANK, wordsFor } from '../maker.ts';

const ON_AND_OFF = { on: 'on', off: 'off' };
/** How on and off are called for a `device_class`. */
const WORDS: ReadonlyMap<string, { on: string; off: string }> = new Map([
  ['battery', { on: 'low', off: 'ok' }],
  ['connectivity', { on: 'connected', off: 'disconnected' }],
  ['door', { on: 'open', off: 'closed' }],
  ['garage_door', { on: 'open', off: 'closed' }],
  ['lock', { on: 'unlocked', off: 'locked' }],
  ['moisture', { on: 'wet', off: 'dry' }],
  ['motion', { on: 'motion', off: 'clear' }],
  ['occupancy', { on: 'occupied', off: 'clear' }],
  ['opening', { on: 'open', off: 'closed' }],
  ['presence', { on: 'home', off: 'away' }],
  ['problem', { on: 'problem', off: 'ok' }],
  ['smoke', { on: 'smoke', off: 'clear' }],
  ['window', { on: 'open', off: 'closed' }],
]);

export function makeSensor(maker: Maker): void {
  const names = ['unit_of_measurement', 'state_class', 'suggested_display_precision'];
  const isNumber = names.some((name) => maker.has(name));
  maker.field({ kind: isNumber ? 'number' : 'text', rank: isNumber ? RANK.primary : RANK.secondary });
}

export function makeBinarySensor(maker: Maker): void {
  const words = WORDS.get(maker.text('device_class') ?? '') ?? ON_AND_OFF;
  const reading = maker.reading('value_template');
  const delay = maker.number('off_delay');
  const doubt = `It is over ${delay} s after it was told: this is what was told last`;
  maker.field({
    kind: 'truth',
    truths: maker.truths(),
    words,
    unit: undefined,
    reading: delay === undefined || reading.doubt !== undefined ? reading : { ...reading, doubt },
  });
}

export function makeSwitch(maker: Maker): void {
  const truths = maker.truths();
  const states = {
    on: maker.payload('state_on') ?? truths.on,
    off: maker.payload('state_off') ?? truths.off,
  };
  maker.field({
    kind: 'truth',
    truths: states,
    words: ON_AND_OFF,
    unit: undefined,
    rank: RANK.main,
    reading: maker.reading('state_value_template', 'value_template'),
  });
  maker.control({ kind: 'switch' }, { words: wordsFor(truths) });
}

/** Without a template, its commands are objects of JSON; its state may be one. */
export function makeSiren(maker: Maker): void {
  const truths = maker.truths();
  const states = {
    on: maker.payload('state_on') ?? truths.on,
    off: maker.payload('state_off') ?? truths.off,
  };
  const reading = maker.reading('state_value_template', 'value_template');
  maker.field({ kind: 'truth', truths: states, words: ON_AND_OFF, unit: undefined, rank: RANK.main, reading, member: 'state' }); // prettier-ignore
  const words = wordsFor(truths);
  if (maker.has('command_template')) maker.control({ kind: 'switch' }, { words });
  else {
    const quoted = wordsFor({ on: JSON.stringify(truths.on), off: JSON.stringify(truths.off) });
    maker.control({ kind: 'switch' }, { words: quoted, around: { before: '{"state": ', after: '}' } });
  }
}

export function makeButton(maker: Maker): void {
  maker.button(maker.self, maker.payload('payload_press') ?? 'PRESS');
}

export function makeScene(maker: Maker): void {
  maker.button(maker.self, maker.payload('payload_on') ?? 'ON');
}

export function makeNumber(maker: Maker): void {
  maker.field({ kind: 'number' });
  const { min, max } = maker.range('min', 1, 'max', 100);
  maker.control({ kind: 'number', min, max, step: maker.number('step') ?? 1, unit: maker.unit() });
}

export function makeSelect(maker: Maker): void {
  maker.field({});
  maker.control({ kind: 'select', options: maker.list('options') });
}

/** Also what is a text that nobody tells back, as those of `notify`. */
export function makeText(maker: Maker): void {
  maker.field({});
  maker.control({ kind: 'text', lengthMax: Math.min(maker.number('max') ?? 255, 255) });
}

export function makeEvent(maker: Maker): void {
  maker.field({ member: 'event_type' });
}

export function makeTracker(maker: Maker): void {
  const names = new Map([
    [maker.payload('payload_home') ?? 'home', 'home'],
    [maker.payload('payload_not_home') ?? 'not_home', 'away'],
  ]);
  maker.field({ names });
}

/** Two versions, of which the state may be one or an object with both. */
export function makeUpdate(maker: Maker): void {
  maker.field({ rank: RANK.diagnostic, member: 'installed_version' });
  const latest = { ...maker.part('latest', `${maker.self.label} available`), rank: RANK.diagnostic };
  const reading = maker.reading('latest_version_template');
  if (maker.has('latest_version_topic')) {
    maker.field({ ...latest, reading, member: 'latest_version' }, 'latest_version_topic');
  } else maker.field({ ...latest, member: 'latest_version', isMemberOnly: true });
  if (maker.has('payload_install'))
    maker.problem(`${maker.self.label}: updates are not installed from this page`);
}

export function makePicture(maker: Maker): void {
  const topic = ['topic', 'image_topic', 'url_topic'].map((name) => maker.topic(name)).find((one) => one);
  const where = topic === undefined ? '' : `; the Explorer shows those of ${topic}`;
  maker.problem(`${maker.self.label}: pictures are not shown here${where}`);
}

/** Its state, and that there would be more to do. */
export function makeWithoutCommands(maker: Maker): void {
  maker.field({});
  if (maker.has('command_topic'))
    maker.problem(`${maker.self.label}: commands of its kind are beyond this page`);
}
