/** A template in its parts: text, and the tokens within `{{ … }}` and `{% … %}`. Pure; one pass, whatever it is given. */

/** What a template uses that is not understood here: then it is not understood as a whole, since half of one is a guess. */
export class NotUnderstood extends Error {}

export interface Token {
  kind: 'number' | 'string' | 'name' | 'sign';
  text: string;
}

export type Part =
  { kind: 'text'; text: string } | { kind: 'output' | 'statement'; tokens: readonly Token[] };

const BEGIN = /\{([{%#])(-?)/g;
const END = /\s*(-?)([%}])\}/y;
const TOKEN =
  /\s*(?:(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([A-Za-z_]\w*)|(\/\/|==|!=|<=|>=|[-+*/%~|.,:()[\]{}<>=]))/y;
const ESCAPES = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
]);

export function partsOf(template: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  let isTrimming = false;
  for (;;) {
    BEGIN.lastIndex = at;
    const begin = BEGIN.exec(template);
    const raw = template.slice(at, begin?.index);
    const [, kind, dash] = begin ?? [];
    const text = trimmed(raw, isTrimming, dash === '-');
    if (text !== '') parts.push({ kind: 'text', text });
    if (begin === null) return parts;
    at = begin.index + begin[0].length;
    if (kind === '#') ({ at, isTrimming } = skipComment(template, at));
    else {
      const { tokens, ...end } = tokensOf(template, at, kind === '%' ? '%' : '}');
      parts.push({ kind: kind === '%' ? 'statement' : 'output', tokens });
      ({ at, isTrimming } = end);
    }
  }
}

function trimmed(text: string, atStart: boolean, atEnd: boolean): string {
  const begun = atStart ? text.trimStart() : text;
  return atEnd ? begun.trimEnd() : begun;
}

function skipComment(template: string, from: number): { at: number; isTrimming: boolean } {
  const end = template.indexOf('#}', from);
  if (end === -1) throw new NotUnderstood('a comment without an end');
  return { at: end + 2, isTrimming: template[end - 1] === '-' };
}

/** Up to the end of the tag, which may not be the first one that looks like it: `{{ {'a': {}} }}`. */
function tokensOf(
  template: string,
  from: number,
  closing: '%' | '}',
): { tokens: Token[]; at: number; isTrimming: boolean } {
  const tokens: Token[] = [];
  let at = from;
  let depth = 0;
  for (;;) {
    END.lastIndex = at;
    const end = depth === 0 ? END.exec(template) : null;
    if (end?.[2] === closing) return { tokens, at: at + end[0].length, isTrimming: end[1] === '-' };
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(template);
    if (match === null) throw new NotUnderstood('what stands there is no expression');
    const token = tokenOf(match);
    if (token.kind === 'sign') depth += '([{'.includes(token.text) ? 1 : ')]}'.includes(token.text) ? -1 : 0;
    tokens.push(token);
    at += match[0].length;
  }
}

function tokenOf([, number, quoted, name, sign = '']: RegExpExecArray): Token {
  if (number !== undefined) return { kind: 'number', text: number };
  if (name !== undefined) return { kind: 'name', text: name };
  if (quoted === undefined) return { kind: 'sign', text: sign };
  const text = quoted.slice(1, -1).replace(/\\(.)/gs, (_, one: string) => ESCAPES.get(one) ?? one);
  return { kind: 'string', text };
}
