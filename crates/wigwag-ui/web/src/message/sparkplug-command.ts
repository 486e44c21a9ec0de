/** Commands of Sparkplug B, NCMD and DCMD: one metric with the value that it is to take, as a payload. */
export interface SparkplugCommand {
  metric: string;
  /** What has an alias must not be named. */
  alias: number | bigint | undefined;
  /** As the specification names it. */
  type: string;
  value: Commanded;
  /** Milliseconds since 1970. */
  now: number;
}

type Commanded = string | number | bigint | boolean | null;

/** The number of each type that can be commanded, and the field that its values are in. */
const TYPES = new Map<
  string,
  [code: number, field: 'int' | 'long' | 'float' | 'double' | 'boolean' | 'string']
>([
  ['Int8', [1, 'int']],
  ['Int16', [2, 'int']],
  ['Int32', [3, 'int']],
  ['Int64', [4, 'long']],
  ['UInt8', [5, 'int']],
  ['UInt16', [6, 'int']],
  ['UInt32', [7, 'int']],
  ['UInt64', [8, 'long']],
  ['Float', [9, 'float']],
  ['Double', [10, 'double']],
  ['Boolean', [11, 'boolean']],
  ['String', [12, 'string']],
  ['Text', [14, 'string']],
]);

export function isCommandable(type: string | undefined): type is string {
  return type !== undefined && TYPES.has(type);
}

export function encodeCommand({ metric, alias, type, value, now }: SparkplugCommand): Uint8Array {
  const [code, field] = TYPES.get(type) ?? [12, 'string'];
  const name = alias === undefined ? block(1, new TextEncoder().encode(metric)) : varint(2, alias);
  const body = [...name, ...varint(3, now), ...varint(4, code), ...valueField(field, value)];
  return new Uint8Array([...varint(1, now), ...block(2, body)]);
}

function valueField(field: string, value: Commanded): number[] {
  switch (field) {
    case 'int':
      return varint(10, BigInt.asUintN(32, whole(value)));
    case 'long':
      return varint(11, whole(value));
    case 'float':
      return fixed(12, 5, 4, (view) => {
        view.setFloat32(0, Number(value), true);
      });
    case 'double':
      return fixed(13, 1, 8, (view) => {
        view.setFloat64(0, Number(value), true);
      });
    case 'boolean':
      return varint(14, value === true ? 1 : 0);
    default:
      return block(15, new TextEncoder().encode(String(value)));
  }
}

function whole(value: Commanded): bigint {
  if (typeof value === 'bigint') return value;
  const number = Math.trunc(Number(value));
  return Number.isFinite(number) ? BigInt(number) : 0n;
}

function varint(field: number, value: number | bigint): number[] {
  return [...base128(BigInt(field << 3)), ...base128(BigInt.asUintN(64, BigInt(value)))];
}

function block(field: number, bytes: ArrayLike<number>): number[] {
  return [...base128(BigInt((field << 3) | 2)), ...base128(BigInt(bytes.length)), ...Array.from(bytes)];
}

function fixed(field: number, wire: number, length: number, write: (view: DataView) => void): number[] {
  const bytes = new Uint8Array(length);
  write(new DataView(bytes.buffer));
  return [...base128(BigInt((field << 3) | wire)), ...bytes];
}

/** Seven bits at a time, the lowest first. */
function base128(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}
