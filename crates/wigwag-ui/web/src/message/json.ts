/** JSON for reading: indented, with every digit, key and escape as it was written. `JSON.parse` would round numbers. */
import { DecodeError, DEPTH_MAX, tooDeep } from './value.ts';

/** A string, a bracket or punctuation, or anything else up to one of those. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** `text` must be JSON. */
export function indentJson(text: string): string {
  let out = '';
  let depth = 0;
  let before = '';
  for (const [token] of text.matchAll(TOKENS)) {
    const isOpening = token === '{' || token === '[';
    const isClosing = token === '}' || token === ']';
    if (isClosing) depth -= 1;
    const isEmpty = isClosing && (before === '{' || before === '[');
    if (!isEmpty && (isClosing || before === '{' || before === '[' || before === ',')) {
      out += `\n${'  '.repeat(depth)}`;
    }
    out += token === ':' ? ': ' : token;
    if (isOpening) depth += 1;
    if (depth > DEPTH_MAX) throw tooDeep();
    before = token;
  }
  return out;
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DecodeError(error instanceof Error ? error.message : String(error));
  }
}
