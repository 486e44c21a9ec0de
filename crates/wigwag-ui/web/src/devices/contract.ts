/**
 * The device contract: topics and payloads, to and from text. Everything received is checked here, with a message that
 * says what is wrong, so that the rest of the page only ever sees well-formed values.
 */
import type { Status } from './model.ts';

export const STATE_FILTER = 'device/+/state';
export const PRESENCE_FILTER = 'device/+/online';
/** Retained by whoever sorts devices, and stronger than the `tags` in a state. */
export const TAGS_FILTER = 'device/+/tags';

export type Action = 'start' | 'stop';

export interface DeviceState {
  status: Status;
  /** Degrees Celsius. */
  temperature: number;
  /** Seconds since the epoch, by the device's clock. */
  timestamp: number;
  /** All of the state, which may say more than the contract asks for. */
  object: Record<string, unknown>;
}

export interface Reply {
  deviceId: string;
  result: { ok: true; status: Status } | { ok: false; error: string };
}

/** Either the value, or what is wrong with the text. */
export type Parsed<Value> = { value: Value } | { problem: string };

/** A running device publishes every 2 s; three times in a row missed is more than bad luck. */
export const STATE_EVERY_MS = 2_000;
export const STALE_AFTER_MS = 3 * STATE_EVERY_MS;

/** Far above any state, and any list of tags; larger payloads are not even parsed. */
const STATE_BYTES_MAX = 4_096;
/** 100,000,000,000 s is the year 5138: a larger number is a timestamp in milliseconds. */
const TIMESTAMP_MAX = 1e11;
const STATUS_OF_ACTION: Record<Action, Status> = { start: 'running', stop: 'idle' };

export interface DeviceTopic {
  kind: 'state' | 'online' | 'tags';
  id: string;
}

export function parseTopic(topic: string): DeviceTopic | undefined {
  const [root, id, kind, ...rest] = topic.split('/');
  if (root !== 'device' || id === undefined || id === '' || rest.length > 0) return undefined;
  return kind === 'state' || kind === 'online' || kind === 'tags' ? { kind, id } : undefined;
}

export function parseState(id: string, text: string, bytes: number): Parsed<DeviceState> {
  if (bytes > STATE_BYTES_MAX)
    return { problem: `${bytes} bytes are too many for a state (at most ${STATE_BYTES_MAX})` };
  const object = parseObject(text);
  if ('problem' in object) return object;
  const { deviceId, status, temperature, timestamp } = object.value;
  if (deviceId !== id) return { problem: `deviceId is ${show(deviceId)}, the topic says "${id}"` };
  if (status !== 'idle' && status !== 'running') {
    return { problem: `status is ${show(status)}; allowed: "idle", "running"` };
  }
  if (typeof temperature !== 'number' || !Number.isFinite(temperature)) {
    return { problem: `temperature is ${show(temperature)}, not a number` };
  }
  if (typeof timestamp !== 'number' || !(timestamp >= 0 && timestamp <= TIMESTAMP_MAX)) {
    return { problem: `timestamp is ${show(timestamp)}, not seconds since 1970` };
  }
  return { value: { status, temperature, timestamp, object: object.value } };
}

export function parsePresence(text: string): Parsed<boolean> {
  if (text === 'true') return { value: true };
  if (text === 'false') return { value: false };
  return { problem: `presence is ${show(text)}; allowed: true, false` };
}

/** Any list is one: what in it is no tag is for whoever keeps them. */
export function parseTags(text: string, bytes: number): Parsed<readonly unknown[]> {
  if (bytes > STATE_BYTES_MAX)
    return { problem: `${bytes} bytes are too many for tags (at most ${STATE_BYTES_MAX})` };
  const json = parseJson(text);
  if ('problem' in json) return json;
  if (!Array.isArray(json.value)) return { problem: `tags are ${show(json.value)}, not a JSON array` };
  return { value: json.value as unknown[] };
}

export function parseReply(text: string): Parsed<Reply> {
  const object = parseObject(text);
  if ('problem' in object) return object;
  const { deviceId, ok, status, error } = object.value;
  if (typeof deviceId !== 'string') return { problem: `deviceId is ${show(deviceId)}, not a text` };
  if (ok === true && (status === 'idle' || status === 'running')) {
    return { value: { deviceId, result: { ok, status } } };
  }
  if (ok === false) {
    const text = typeof error === 'string' && error !== '' ? error : 'the device gave no reason';
    return { value: { deviceId, result: { ok, error: text } } };
  }
  return { problem: 'a reply has "ok": true with a status, or "ok": false with an error' };
}

export function commandTopic(id: string): string {
  return `device/${id}/command`;
}

export function stateTopic(id: string): string {
  return `device/${id}/state`;
}

export function tagsTopic(id: string): string {
  return `device/${id}/tags`;
}

export function presenceTopic(id: string): string {
  return `device/${id}/online`;
}

/** What all topics of the device begin with. */
export function topicPrefix(id: string): string {
  return `device/${id}/`;
}

export function statusAfter(action: Action): Status {
  return STATUS_OF_ACTION[action];
}

function parseObject(text: string): Parsed<Record<string, unknown>> {
  const json = parseJson(text);
  if ('problem' in json) return json;
  const { value } = json;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { problem: `the payload is ${show(value)}, not a JSON object` };
  }
  return { value: value as Record<string, unknown> };
}

function parseJson(text: string): Parsed<unknown> {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return { problem: text === '' ? 'the payload is empty' : 'the payload is not JSON' };
  }
}

/** Short enough for a message, whatever a stranger sent. */
function show(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value);
  return text.length <= 40 ? text : `${text.slice(0, 39)}…`;
}
