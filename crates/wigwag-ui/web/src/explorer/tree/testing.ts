/** Messages for tests of the tree. */
import type { Message } from '../../message/message.ts';

export function message(topic: string, text = 'x', change: Partial<Message> = {}): Message {
  const payload = new TextEncoder().encode(text);
  return {
    seq: 0,
    topic,
    payload,
    bytes: payload.length,
    retain: false,
    qos: 0,
    at: 0,
    properties: {},
    ...change,
  };
}
