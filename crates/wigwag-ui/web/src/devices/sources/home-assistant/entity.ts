/**
 * What the configuration of one entity means for a device: values with the topics that they come from, controls with what
 * they publish, and what says whether it is there. Pure; whatever the configuration holds, it makes an entity or says why not.
 */
import type { Control } from '../../model.ts';
import type { Config } from './abbreviations.ts';
import { makeClimate, makeHumidifier } from './components/climate.ts';
import { makeFan } from './components/fan.ts';
import { makeJsonLight, makeLight, makeTemplateLight } from './components/light.ts';
import { makeCover, makeLock, makeValve } from './components/openings.ts';
import * as plain from './components/plain.ts';
import { Maker } from './maker.ts';
import type { Reading } from './template.ts';

/** A value that is heard of at a topic. */
export interface FieldSpec {
  key: string;
  label: string;
  unit: string | undefined;
  topic: string;
  reading: Reading;
  kind: 'number' | 'text' | 'truth';
  /** Where the value is if what is told is an object of JSON. */
  member?: string;
  /** It is never told by itself. */
  isMemberOnly?: true;
  /** Payloads that mean true and false. */
  truths?: { on: string; off: string };
  /** How true and false are called. */
  words?: { on: string; off: string };
  /** What other payloads are called. */
  names?: ReadonlyMap<string, string>;
  /** The lower, the more it is what the device is about. */
  rank: number;
}

export interface AvailabilitySpec {
  topic: string;
  reading: Reading;
  yes: string;
  no: string;
}

export interface Entity {
  name: string | undefined;
  fields: FieldSpec[];
  controls: Control[];
  availability: AvailabilitySpec[];
  availabilityMode: 'all' | 'any' | 'latest';
  /** After so long without a value it has expired. */
  expireMs: number | undefined;
  problems: string[];
}

const MAKE: ReadonlyMap<string, (maker: Maker) => void> = new Map([
  ['alarm_control_panel', plain.makeWithoutCommands],
  ['binary_sensor', plain.makeBinarySensor],
  ['button', plain.makeButton],
  ['camera', plain.makePicture],
  ['climate', makeClimate],
  ['cover', makeCover],
  // Of these there is nothing to see and nothing to do.
  ['device_automation', () => undefined],
  ['tag', () => undefined],
  ['device_tracker', plain.makeTracker],
  ['event', plain.makeEvent],
  ['fan', makeFan],
  ['humidifier', makeHumidifier],
  ['image', plain.makePicture],
  ['input_boolean', plain.makeSwitch],
  ['light', makeLight],
  ['light.json', makeJsonLight],
  ['light.template', makeTemplateLight],
  ['lock', makeLock],
  ['notify', plain.makeText],
  ['number', plain.makeNumber],
  ['scene', plain.makeScene],
  ['select', plain.makeSelect],
  ['sensor', plain.makeSensor],
  ['siren', plain.makeSiren],
  ['switch', plain.makeSwitch],
  ['text', plain.makeText],
  ['update', plain.makeUpdate],
  ['valve', makeValve],
  ['water_heater', makeClimate],
]);

export function entityOf(component: string, objectId: string, config: Config): Entity {
  const maker = new Maker(component, objectId, config);
  const schema = component === 'light' ? maker.text('schema') : undefined;
  const make =
    MAKE.get(`${component}.${schema}`) ??
    (schema === undefined || ['', 'basic', 'default'].includes(schema) ? MAKE.get(component) : undefined);
  // What else there is has a state at least.
  (make ?? plain.makeWithoutCommands)(maker);
  return maker.entity;
}
