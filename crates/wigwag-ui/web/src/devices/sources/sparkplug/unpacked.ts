/**
 * Payloads within payloads: Eclipse Tahu's clients may compress one, and send it as the body of another. Pure, and
 * bounded, because a few bytes of a stranger's may unpack to gigabytes.
 */
import { Decompress } from 'fflate';

import type { SparkplugPayload } from '../../../message/sparkplug.ts';
import { decodeSparkplug } from '../../../message/sparkplug.ts';
import { PAYLOAD_BYTES_MAX } from '../../../mqtt/protocol.ts';

/** How such a payload is marked. */
const COMPRESSED = 'SPBV1.0_COMPRESSED';
/** Unpacked at once: a thousand times as much may come of it. */
const STEP_BYTES = 1_024;

/** The payload itself if it is not a compressed one. Throws if what is packed cannot be read. */
export function unpacked(payload: SparkplugPayload): SparkplugPayload {
  if (payload.uuid !== COMPRESSED || payload.body === undefined) return payload;
  return decodeSparkplug(decompressed(payload.body));
}

function decompressed(body: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const stream = new Decompress((chunk) => {
    length += chunk.length;
    if (length > PAYLOAD_BYTES_MAX) throw new Error(`more than ${PAYLOAD_BYTES_MAX} bytes are packed in it`);
    chunks.push(chunk);
  });
  for (let at = 0; at < body.length; at += STEP_BYTES) {
    stream.push(body.slice(at, at + STEP_BYTES), at + STEP_BYTES >= body.length);
  }
  if (length === 0) throw new Error('nothing is packed in it');
  return joined(chunks, length);
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
