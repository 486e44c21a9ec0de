import { beforeEach, describe, expect, test } from 'vitest';

import type { Incoming } from '../../../mqtt/protocol.ts';
import { DeviceStore } from '../../device-store.ts';
import { payloadText } from '../../encode.ts';
import { textWithUnit } from '../../field-text.ts';
import type { Device, FieldValue } from '../../model.ts';
import { incoming } from '../../testing.ts';
import { ENTITIES_MAX } from './announcement.ts';
import { ANNOUNCEMENTS_MAX, FIELDS_MAX, HomeAssistantSource } from './home-assistant-source.ts';
import { TOPICS_MAX } from './topics.ts';

const NOW = Date.UTC(2026, 0, 1);

let store: DeviceStore;
let source: HomeAssistantSource;
let subscribed: Set<string>;
let clock: number;

beforeEach(() => {
  store = new DeviceStore();
  subscribed = new Set();
  clock = NOW;
  source = sourceBelow('homeassistant');
});

function sourceBelow(prefix: string): HomeAssistantSource {
  const subscribe = (topic: string) => {
    subscribed.add(topic);
    return () => subscribed.delete(topic);
  };
  return new HomeAssistantSource({ store, subscribe }, prefix);
}

function receive(topic: string, payload: unknown, more: Partial<Incoming> = {}) {
  return source.handle(incoming(topic, payload, { at: clock++, ...more }));
}

function device(id: string): Device {
  const found = store.device(`ha/${id}`);
  if (found === undefined) throw new Error(`no device ${id}`);
  return found;
}

function shown(id: string): Record<string, string> {
  return Object.fromEntries(device(id).fields.map((field) => [field.label, textWithUnit(field)]));
}

/** What a control would send. */
function sent(
  id: string,
  key: string,
  value: FieldValue,
): [topic: string, payload: string | undefined] | undefined {
  const control = device(id).controls.find((one) => one.key === key);
  return control === undefined ? undefined : [control.topic, payloadText(control, value)];
}

/** In the manner of Zigbee2MQTT: full names, one JSON state for all, availability of the bridge and of the device. */
function announcePlug(): void {
  const shared = {
    availability: [
      { topic: 'zigbee2mqtt/bridge/state', value_template: '{{ value_json.state }}' },
      { topic: 'zigbee2mqtt/plug/availability', value_template: '{{ value_json.state }}' },
    ],
    availability_mode: 'all',
    device: {
      identifiers: ['zigbee2mqtt_0x842e14fffe'],
      manufacturer: 'TuYa',
      model: 'Smart plug (TS011F)',
      name: 'plug',
      sw_version: '1.0.5',
      via_device: 'zigbee2mqtt_bridge_0x00',
    },
    state_topic: 'zigbee2mqtt/plug',
  };
  receive('homeassistant/sensor/0x842e14fffe/linkquality/config', {
    ...shared,
    enabled_by_default: false,
    entity_category: 'diagnostic',
    name: 'Linkquality',
    state_class: 'measurement',
    unit_of_measurement: 'lqi',
    value_template: '{{ value_json.linkquality }}',
  });
  receive('homeassistant/switch/0x842e14fffe/switch/config', {
    ...shared,
    command_topic: 'zigbee2mqtt/plug/set',
    name: null,
    payload_off: 'OFF',
    payload_on: 'ON',
    value_template: '{{ value_json.state }}',
  });
  receive('homeassistant/sensor/0x842e14fffe/power/config', {
    ...shared,
    device_class: 'power',
    state_class: 'measurement',
    unit_of_measurement: 'W',
    value_template: '{{ value_json.power }}',
  });
  receive('homeassistant/binary_sensor/0x842e14fffe/overload/config', {
    ...shared,
    device_class: 'problem',
    name: 'Overload',
    payload_off: false,
    payload_on: true,
    value_template: '{{ value_json.overload }}',
  });
}

const PLUG = 'zigbee2mqtt_0x842e14fffe';
const PLUG_STATE = { state: 'ON', power: 12.5, overload: false, linkquality: 120 };

describe('a plug of Zigbee2MQTT', () => {
  beforeEach(announcePlug);

  test('is one device with its entities in the order of what matters', () => {
    receive('zigbee2mqtt/plug', PLUG_STATE, { retain: true });
    expect(device(PLUG)).toMatchObject({
      source: 'home-assistant',
      name: 'plug',
      about: { manufacturer: 'TuYa', model: 'Smart plug (TS011F)', firmware: '1.0.5' },
      tags: ['Smart plug (TS011F)'],
      problems: [],
    });
    expect(shown(PLUG)).toEqual({ switch: 'on', Power: '12.5 W', Overload: 'ok', Linkquality: '120 lqi' });
    expect(Object.keys(shown(PLUG))).toEqual(['switch', 'Power', 'Overload', 'Linkquality']);
    expect([...subscribed]).toEqual(
      expect.arrayContaining([
        'zigbee2mqtt/plug',
        'zigbee2mqtt/bridge/state',
        'zigbee2mqtt/plug/availability',
      ]),
    );
    expect(subscribed.size).toBe(3);
  });

  test('is there when the bridge and the device both say so', () => {
    expect(device(PLUG).presence).toBeUndefined();
    receive('zigbee2mqtt/bridge/state', { state: 'online' }, { retain: true });
    expect(device(PLUG).presence).toBeUndefined();
    receive('zigbee2mqtt/plug/availability', { state: 'online' }, { retain: true });
    expect(device(PLUG).presence?.online).toBe(true);
    receive('zigbee2mqtt/bridge/state', { state: 'offline' });
    expect(device(PLUG).presence?.online).toBe(false);
  });

  test('is switched by what it says that it understands', () => {
    expect(sent(PLUG, 'switch.switch', true)).toEqual(['zigbee2mqtt/plug/set', 'ON']);
    expect(device(PLUG).controls[0]).toMatchObject({
      kind: 'switch',
      field: 'switch.switch',
      replies: false,
    });
    receive('zigbee2mqtt/plug', { ...PLUG_STATE, state: 'OFF' });
    expect(device(PLUG).fields[0]?.value).toBe(false);
  });

  test('keeps what a message does not speak of, and the time of what is retained and known', () => {
    receive('zigbee2mqtt/plug', PLUG_STATE);
    const before = device(PLUG);
    receive('zigbee2mqtt/plug', PLUG_STATE, { retain: true });
    expect(device(PLUG)).toBe(before);
    receive('zigbee2mqtt/plug', { power: 13 });
    expect(shown(PLUG)).toMatchObject({ switch: 'on', Power: '13 W' });
    expect(
      device(PLUG)
        .fields[1]?.samples?.all()
        .map(({ value }) => value),
    ).toEqual([12.5, 13]);
  });

  test('loses an entity with its configuration, and is gone with the last one', () => {
    receive('homeassistant/sensor/0x842e14fffe/power/config', '');
    expect(Object.keys(shown(PLUG))).toEqual(['switch', 'Overload', 'Linkquality']);
    for (const leaf of [
      'sensor/0x842e14fffe/linkquality',
      'switch/0x842e14fffe/switch',
      'binary_sensor/0x842e14fffe/overload',
    ]) {
      receive(`homeassistant/${leaf}/config`, '');
    }
    expect(store.snapshot().devices).toEqual([]);
    expect(subscribed.size).toBe(0);
    announcePlug();
    expect(device(PLUG).fields).toHaveLength(4);
  });

  test('an entity that is announced later has the value that was told already', () => {
    receive('zigbee2mqtt/plug', { ...PLUG_STATE, voltage: 231 }, { retain: true });
    receive('homeassistant/sensor/0x842e14fffe/voltage/config', {
      device: { identifiers: [PLUG] },
      name: 'Voltage',
      state_topic: 'zigbee2mqtt/plug',
      unit_of_measurement: 'V',
      value_template: '{{ value_json.voltage }}',
    });
    expect(shown(PLUG)).toMatchObject({ Voltage: '231 V', Power: '12.5 W' });
  });

  test('tells the numbers of an older message', () => {
    expect(source.numbersIn(device(PLUG), incoming('zigbee2mqtt/plug', PLUG_STATE))).toEqual([
      ['sensor.power', 12.5],
      ['sensor.linkquality', 120],
    ]);
  });
});

/** In the manner of Tasmota: short names, a base topic, and topics of its own for everything. */
test('a socket of Tasmota is understood in short', () => {
  receive('homeassistant/switch/A1B2C3_RL_1/config', {
    '~': 'tasmota_A1B2C3/',
    name: 'Socket',
    stat_t: '~STATE',
    val_tpl: '{{value_json.POWER}}',
    cmd_t: 'cmnd/tasmota_A1B2C3/POWER',
    pl_off: 'OFF',
    pl_on: 'ON',
    avty_t: '~LWT',
    pl_avail: 'Online',
    pl_not_avail: 'Offline',
    uniq_id: 'A1B2C3_RL_1',
    dev: { ids: ['A1B2C3'], name: 'Workshop', mdl: 'Gosund SP1', sw: '9.1.0', mf: 'Tasmota', sa: 'Shed' },
  });
  expect(subscribed).toEqual(new Set(['tasmota_A1B2C3/STATE', 'tasmota_A1B2C3/LWT']));
  receive('tasmota_A1B2C3/STATE', { POWER: 'ON' });
  receive('tasmota_A1B2C3/LWT', 'Online');
  expect(device('A1B2C3')).toMatchObject({
    name: 'Workshop',
    about: { area: 'Shed', firmware: '9.1.0' },
    tags: ['Shed', 'Gosund SP1'],
    presence: { online: true },
  });
  expect(shown('A1B2C3')).toEqual({ Socket: 'on' });
});

/** In the manner of ESPHome: payloads without JSON, a light that speaks JSON, numbers and choices. */
test('a board of ESPHome has values, a light, a number, a choice and a button', () => {
  const dev = { ids: '24a160', name: 'Desk', sw: 'esphome v2025.1', mdl: 'esp32', mf: 'Espressif' };
  const more = { avty_t: 'desk/status', dev };
  const config = (component: string, id: string, rest: object) =>
    receive(`homeassistant/${component}/desk/${id}/config`, { ...more, ...rest });
  config('sensor', 'temperature', { name: 'Temperature', dev_cla: 'temperature', unit_of_meas: '°C', stat_cla: 'measurement', stat_t: 'desk/sensor/temperature/state', exp_aft: 60 }); // prettier-ignore
  config('light', 'lamp', { name: 'Lamp', schema: 'json', stat_t: 'desk/light/lamp/state', cmd_t: 'desk/light/lamp/command', brightness: true }); // prettier-ignore
  config('number', 'delay', { name: 'Delay', stat_t: 'desk/number/delay/state', cmd_t: 'desk/number/delay/command', min: 0, max: 60, step: 0.5, unit_of_meas: 's' }); // prettier-ignore
  config('select', 'effect', { name: 'Effect', stat_t: 'desk/select/effect/state', cmd_t: 'desk/select/effect/command', ops: ['calm', 'wild'] }); // prettier-ignore
  config('button', 'restart', { name: 'Restart', cmd_t: 'desk/button/restart/command', ent_cat: 'config' }); // prettier-ignore
  receive('desk/sensor/temperature/state', '21.5', { retain: true });
  receive('desk/light/lamp/state', { state: 'ON', brightness: 128, color_mode: 'brightness' });
  receive('desk/number/delay/state', '2.5');
  receive('desk/select/effect/state', 'calm');
  receive('desk/status', 'online');
  expect(shown('24a160')).toEqual({
    Temperature: '21.5 °C',
    Lamp: 'on',
    'Lamp brightness': '128',
    Delay: '2.5 s',
    Effect: 'calm',
  });
  expect(device('24a160')).toMatchObject({ silenceMs: 60_000, isSteady: true, presence: { online: true } });
  expect(sent('24a160', 'light.lamp', false)).toEqual(['desk/light/lamp/command', '{"state":"OFF"}']);
  expect(sent('24a160', 'light.lamp.brightness', 200)).toEqual([
    'desk/light/lamp/command',
    '{"state":"ON","brightness":200}',
  ]);
  expect(sent('24a160', 'number.delay', 0.5)).toEqual(['desk/number/delay/command', '0.5']);
  expect(sent('24a160', 'select.effect', 'wild')).toEqual(['desk/select/effect/command', 'wild']);
  expect(sent('24a160', 'button.restart', 'PRESS')).toEqual(['desk/button/restart/command', 'PRESS']);
  receive('desk/sensor/temperature/state', 'nan');
  expect(shown('24a160').Temperature).toBe('nan °C');
});

test('a thermostat, a cover and a lamp with a template can be set', () => {
  const dev = { ids: ['x'], name: 'X' };
  receive('homeassistant/climate/x/config', {
    dev, name: 'Heating', curr_temp_t: 'x/now', temp_cmd_t: 'x/set', temp_stat_t: 'x/target', mode_cmd_t: 'x/mode/set',
    mode_stat_t: 'x/mode', modes: ['off', 'heat'], min_temp: 5, max_temp: 30, temp_step: 0.5,
  }); // prettier-ignore
  receive('homeassistant/cover/x/config', { dev, name: 'Blind', cmd_t: 'x/blind', set_pos_t: 'x/blind/pos', pos_t: 'x/blind/at' }); // prettier-ignore
  receive('homeassistant/light/x/config', {
    dev, name: 'Lamp', cmd_t: 'x/lamp', bri_cmd_t: 'x/lamp/bri', bri_stat_t: 'x/lamp/bri/state', bri_cmd_tpl: '{"b":{{ value }}}', bri_scl: 100,
  }); // prettier-ignore
  receive('x/now', '19.5');
  receive('x/target', '21');
  receive('x/blind/at', '40');
  expect(shown('x')).toMatchObject({
    Temperature: '19.5 °C',
    'Target temperature': '21.0 °C',
    'Blind position': '40 %',
  });
  expect(sent('x', 'climate.x.target', 22.5)).toEqual(['x/set', '22.5']);
  expect(sent('x', 'climate.x.mode', 'heat')).toEqual(['x/mode/set', 'heat']);
  expect(sent('x', 'cover.x.open', 'OPEN')).toEqual(['x/blind', 'OPEN']);
  expect(sent('x', 'cover.x.position', 70)).toEqual(['x/blind/pos', '70']);
  expect(sent('x', 'light.x.brightness', 50)).toEqual(['x/lamp/bri', '{"b":50}']);
  // Nobody tells how it stands, so nothing but the broker confirms it.
  expect(device('x').controls.find(({ key }) => key === 'light.x')?.field).toBeUndefined();
});

test('a device may introduce itself in one message, and take a component back', () => {
  const config = {
    dev: { ids: 'ea334450945afc', name: 'Kitchen', mf: 'Bla electronics', hw: '1.0rev2', sn: 'ea33' },
    o: { name: 'bla2mqtt', sw: '2.1' },
    cmps: {
      id1: { p: 'sensor', device_class: 'temperature', unit_of_measurement: '°C', value_template: '{{ value_json.temperature}}', unique_id: 't1' },
      id2: { p: 'sensor', device_class: 'humidity', unit_of_measurement: '%', value_template: '{{ value_json.humidity}}', unique_id: 'h1' },
      gone: { p: 'sensor' },
      odd: 7,
    },
    state_topic: 'sensorBedroom/state',
    qos: 2,
  }; // prettier-ignore
  receive('homeassistant/device/0AFFD2/config', config, { retain: true });
  receive('sensorBedroom/state', { temperature: 21.25, humidity: 40 });
  expect(shown('ea334450945afc')).toEqual({ Temperature: '21.3 °C', Humidity: '40 %' });
  const { id1 } = config.cmps;
  receive('homeassistant/device/0AFFD2/config', { ...config, cmps: { id1, id2: { p: 'sensor' } } });
  expect(shown('ea334450945afc')).toEqual({ Temperature: '21.3 °C' });
});

test('an entity without a device is one, and connections do for identifiers', () => {
  receive('homeassistant/sensor/lonely/config', { name: 'Lonely', state_topic: 'a' });
  expect(device('sensor/lonely').name).toBe('Lonely');
  receive('homeassistant/sensor/m/config', {
    state_topic: 'a',
    device: { connections: [['mac', '02:5b']], name: 'M' },
  });
  expect(device('02:5b').name).toBe('M');
});

describe('what cannot be done', () => {
  test('a template beyond us leaves the payload, and says so', () => {
    const value_template = '{{ value_json.a | timestamp_local }}';
    receive('homeassistant/sensor/t/config', {
      name: 'T',
      state_topic: 't',
      value_template,
      dev: { ids: 't' },
    });
    receive('t', '{"a":1}');
    expect(device('t').fields[0]).toMatchObject({
      value: '{"a":1}',
      doubt: expect.stringContaining('template') as string,
    });
  });

  test('a command whose template is beyond us is not offered, and the device says why', () => {
    const config = { name: 'T', cmd_t: 't/set', command_template: '{{ value * factor }}', dev: { ids: 't' } };
    receive('homeassistant/number/t/config', config);
    expect(device('t').controls).toEqual([]);
    expect(device('t').problems).toEqual(['T: the template of its commands is beyond this page']);
  });

  test.each(['#', 'a/+/b', '$share/g/a', 'a\u0000b', 'x'.repeat(1_001), 'a\ud800'])(
    '%j is not subscribed to',
    (topic) => {
      receive('homeassistant/switch/t/config', {
        state_topic: topic,
        command_topic: topic,
        avty_t: topic,
        dev: { ids: 't' },
      });
      expect(subscribed.size).toBe(0);
      expect(device('t').controls).toEqual([]);
      expect(device('t').problems[0]).toMatch(/is not a topic/);
    },
  );

  test.each([
    ['x', 'the configuration is not JSON'],
    ['[1]', 'the configuration is not a JSON object'],
    [' '.repeat(70_000), '70000 bytes are too many for a configuration (at most 65536)'],
  ])('a configuration that is wrong is told', (text, problem) => {
    expect(receive('homeassistant/sensor/x/config', text)?.problem).toBe(problem);
    expect(store.snapshot().devices).toEqual([]);
  });

  test('a device without components is told', () => {
    expect(receive('homeassistant/device/x/config', '{"dev":{}}')?.problem).toMatch(/no "components"/);
  });

  test.each([
    '{"__proto__":{"a":1},"state_topic":{"a":1},"device":[],"availability":[[],7,null,{"topic":7}]}',
    '{"device":{"identifiers":[{},[],null,7,""],"connections":[7,[],null,["mac"]],"name":{}},"state_topic":"t","options":{}}',
    '{"device":{"ids":"a"},"device_class":"constructor","state_topic":"t","unit_of_measurement":{},"qos":9,"retain":"x","min":"a"}',
    '{"cmps":{"a":null,"constructor":{"p":"constructor","x":1},"__proto__":{"p":"sensor","stat_t":"q"}},"dev":{"ids":"a"}}',
  ])('nonsense makes no trouble: %s', (text) => {
    for (const component of [
      'device',
      'sensor',
      'binary_sensor',
      'switch',
      'light',
      'climate',
      'cover',
      'number',
      'select',
      'lock',
      'fan',
      'text',
      'x',
    ]) {
      expect(() => receive(`homeassistant/${component}/n/config`, text)).not.toThrow();
      for (const payload of ['', '{}', 'null', '[]', '{"a":', '\u0000']) {
        expect(() => receive('t', payload)).not.toThrow();
      }
    }
  });
});

describe('bounds', () => {
  test('of one device so many entities and fields, and the rest is counted', () => {
    const sensors = Array.from({ length: ENTITIES_MAX + 9 }, (_, index) => [
      `s${index}`,
      { p: 'sensor', stat_t: 't', name: `S${index}` },
    ]);
    receive('homeassistant/device/d/config', {
      dev: { ids: 'd' },
      cmps: Object.fromEntries(sensors) as object,
    });
    expect(device('d').fields).toHaveLength(FIELDS_MAX);
    expect(device('d').fieldsBeyond).toBe(9);
  });

  test('so many topics, and a device that is not heard of for that says so', () => {
    for (let index = 0; index < TOPICS_MAX; index++) {
      receive(`homeassistant/sensor/s${index}/config`, { stat_t: `t${index}`, dev: { ids: `d${index}` } });
    }
    receive('homeassistant/sensor/more/config', { stat_t: 'more', dev: { ids: 'more' } });
    expect(subscribed.size).toBe(TOPICS_MAX);
    expect(device('more').problems[0]).toMatch(/^1 of its topics are not listened to/);
    receive('homeassistant/sensor/s0/config', '');
    receive('homeassistant/sensor/more/config', { stat_t: 'more', dev: { ids: 'more' } });
    expect(device('more').problems).toEqual([]);
  });
});

test('no button of a stranger tells the broker what to do in the name of who presses it', () => {
  receive('homeassistant/button/trap/config', {
    name: 'Ring',
    command_topic: '$CONTROL/dynamic-security/v1',
    payload_press: '{"commands":[{"command":"deleteClient","username":"ann"}]}',
  });
  expect(device('button/trap').controls).toEqual([]);
  expect(device('button/trap').problems).toEqual([
    'Ring: commands to the broker itself are not sent for a device: $CONTROL/dynamic-security/v1',
  ]);
});

test('a device has so many configurations, and says of more that they are not kept', () => {
  const config = (index: number) => ({ name: `v${index}`, state_topic: 'all', dev: { ids: ['one'] } });
  for (let index = 0; index < ANNOUNCEMENTS_MAX; index++) {
    expect(receive(`homeassistant/sensor/v${index}/config`, config(index))).toEqual({ ids: ['ha/one'] });
  }
  expect(receive('homeassistant/sensor/more/config', config(0))?.problem).toMatch(/not kept$/);
  receive('homeassistant/sensor/v0/config', '');
  expect(receive('homeassistant/sensor/more/config', config(0))?.problem).toBeUndefined();
});

test('what is below another prefix is found there, and is none of its business elsewhere', () => {
  source = sourceBelow('lab//ha');
  expect(source.filters).toEqual(['lab//ha/+/+/config', 'lab//ha/+/+/+/config']);
  expect(receive('homeassistant/sensor/hall/config', { state_topic: 'hall' })).toBeUndefined();
  receive('lab//ha/sensor/node/hall/config', { state_topic: 'hall', name: 'Hall' });
  receive('hall', '21');
  expect(shown('sensor/node/hall')).toEqual({ Hall: '21' });
});

test('one that ends takes its devices along and listens to nothing', () => {
  announcePlug();
  expect(subscribed.size).toBeGreaterThan(0);
  source.end();
  expect(subscribed.size).toBe(0);
  expect(store.snapshot().devices).toEqual([]);
});
