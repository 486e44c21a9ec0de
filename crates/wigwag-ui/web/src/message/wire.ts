/**
 * Protocol Buffers without their schema: the numbers of the fields, how each is written, and what that may mean. A field
 * of bytes is a text, a message of its own or bytes; which of them, only the schema knows, so it is what fits first.
 */
import { integer } from './byte-reader.ts';
import type { Field } from './protobuf.ts';
import { readFields } from './protobuf.ts';
import type { Value, ValueMap } from './value.ts';
import { DecodeError, DEPTH_MAX } from './value.ts';

/** Numbers above are reserved for nobody's fields; random bytes have them all the time. */
const FIELD_NUMBER_MAX = 536_870_911;

/** By number and kind, such as `3: text`; a row of them where a field is repeated. */
export function decodeWire(bytes: Uint8Array, depth = 0): ValueMap {
  const message: ValueMap = new Map();
  const repeated = new Map<string, Value[]>();
  for (const field of readFields(bytes)) {
    if (field.number > FIELD_NUMBER_MAX) throw new DecodeError(`a field has the number ${field.number}`);
    const [kind, value] = meaningOf(field, depth);
    const name = `${field.number}: ${kind}`;
    const values = repeated.get(name);
    if (values === undefined) {
      repeated.set(name, [value]);
      message.set(name, value);
    } else {
      values.push(value);
      message.set(name, values);
    }
  }
  return message;
}

function meaningOf(field: Field, depth: number): [kind: string, value: Value] {
  switch (field.wire) {
    case 'varint':
      return ['varint', numberOf(field.value)];
    case 'fixed32': {
      const view = viewOf(field.bytes);
      return ['fixed32', numbers(view.getFloat32(0, true), 'uint32', view.getUint32(0, true))];
    }
    case 'fixed64': {
      const view = viewOf(field.bytes);
      return ['fixed64', numbers(view.getFloat64(0, true), 'uint64', integer(view.getBigUint64(0, true)))];
    }
    case 'bytes':
      return lengthDelimited(field.bytes, depth);
  }
}

/** A number below zero takes ten bytes, as one near 2⁶⁴ would. */
function numberOf(value: bigint): Value {
  const signed = BigInt.asIntN(64, value);
  return integer(signed < 0n ? signed : value);
}

function numbers(float: number, name: string, whole: Value): ValueMap {
  return new Map<Value, Value>([
    ['float', float],
    [name, whole],
  ]);
}

function lengthDelimited(bytes: Uint8Array, depth: number): [kind: string, value: Value] {
  const text = textOf(bytes);
  if (text !== undefined) return ['text', text];
  if (depth < DEPTH_MAX) {
    try {
      return ['message', decodeWire(bytes, depth + 1)];
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
    }
  }
  return ['bytes', bytes];
}

/** Characters of control other than white space are a sign that it is something else. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[^\P{Cc}\s]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
