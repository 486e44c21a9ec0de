/** What opens and closes: covers, valves and locks. Pure. */
import { capitalised, Maker, RANK } from '../maker.ts';

export function makeCover(maker: Maker): void {
  maker.field({ rank: RANK.main, unit: undefined, names: statesOf(maker) });
  const position = maker.part('position');
  const reading = maker.reading('position_template', 'value_template');
  maker.field({ ...position, unit: '%', kind: 'number', reading }, 'position_topic');
  moves(maker, 'STOP');
  const { min, max } = maker.range('position_closed', 0, 'position_open', 100);
  const how = { topic: 'set_position_topic', template: 'set_position_template' };
  maker.control({ kind: 'number', min, max, step: 1, unit: '%' }, how, position);
  tilt(maker);
}

/** One that reports its position is told the one that it is to take. */
export function makeValve(maker: Maker): void {
  if (!maker.isTrue('reports_position')) {
    maker.field({ rank: RANK.main, unit: undefined, names: statesOf(maker), member: 'state' });
    moves(maker, undefined);
    return;
  }
  maker.field({ unit: '%', kind: 'number', rank: RANK.main, member: 'position' });
  const { min, max } = maker.range('position_closed', 0, 'position_open', 100);
  maker.control({ kind: 'number', min, max, step: 1, unit: '%' });
  const stop = maker.payload('payload_stop');
  if (stop !== undefined) maker.button(maker.part('stop', `Stop ${maker.self.label}`), stop);
}

export function makeLock(maker: Maker): void {
  const state = (name: string): string => maker.payload(`state_${name}`) ?? name.toUpperCase();
  const names = new Map(['locking', 'unlocking', 'jammed'].map((name) => [state(name), name]));
  const truths = { on: state('locked'), off: state('unlocked') };
  const words = { on: 'locked', off: 'unlocked' };
  maker.field({ kind: 'truth', truths, words, names, unit: undefined, rank: RANK.main });
  if (maker.has('code_format')) {
    maker.problem(`${maker.self.label}: it wants a code, which this page does not ask for`);
    return;
  }
  for (const name of ['lock', 'unlock']) {
    const payload = maker.payload(`payload_${name}`) ?? name.toUpperCase();
    maker.button(maker.part(name, `${capitalised(name)} ${maker.self.label}`), payload);
  }
}

/** A payload that is said to be nothing is not for it to take. */
function moves(maker: Maker, stop: string | undefined): void {
  for (const [name, otherwise] of [
    ['open', 'OPEN'],
    ['close', 'CLOSE'],
    ['stop', stop],
  ] as const) {
    const payload = maker.isNull(`payload_${name}`)
      ? undefined
      : (maker.payload(`payload_${name}`) ?? otherwise);
    if (payload !== undefined)
      maker.button(maker.part(name, `${capitalised(name)} ${maker.self.label}`), payload);
  }
}

function tilt(maker: Maker): void {
  const named = maker.part('tilt');
  const reading = maker.reading('tilt_status_template');
  maker.field({ ...named, unit: '%', kind: 'number', reading }, 'tilt_status_topic');
  const { min, max } = maker.range('tilt_min', 0, 'tilt_max', 100);
  const how = { topic: 'tilt_command_topic', template: 'tilt_command_template' };
  maker.control({ kind: 'number', min, max, step: 1, unit: '%' }, how, named);
}

function statesOf(maker: Maker): ReadonlyMap<string, string> {
  const words = ['open', 'opening', 'closed', 'closing', 'stopped'];
  return new Map(words.map((word) => [maker.payload(`state_${word}`) ?? word, word]));
}
