/**
 * From a template of Home Assistant to what it means: text, values, `if` and `set`, and the expressions that devices put
 * there. The language has more; whoever uses that is told that it is not understood. Pure, and bounded in depth.
 */
import { FUNCTIONS, METHODS } from './functions.ts';
import type { Part, Token } from './tokens.ts';
import { NotUnderstood, partsOf } from './tokens.ts';

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'output'; value: Expression }
  | { kind: 'set'; name: string; value: Expression }
  /** The first whose condition holds. */
  | { kind: 'if'; branches: { when: Expression | undefined; then: Node[] }[] };

export type Expression =
  | { kind: 'value'; value: string | number | boolean | null }
  | { kind: 'name'; name: string }
  | { kind: 'list'; items: Expression[] }
  | { kind: 'dictionary'; entries: (readonly [Expression, Expression])[] }
  | { kind: 'member'; of: Expression; key: Expression }
  | { kind: 'not' | 'minus'; of: Expression }
  | { kind: 'binary'; sign: string; left: Expression; right: Expression }
  | { kind: 'choice'; when: Expression; then: Expression; otherwise: Expression | undefined }
  /** Of filters, methods and tests, the first one is what stands before them. */
  | { kind: 'call'; name: string; args: Expression[] };

const DEPTH_MAX = 40;
const WORDS = new Map<string, boolean | null>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);
const RESERVED = new Set(['and', 'or', 'not', 'if', 'else', 'elif', 'is', 'in']);
const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=']);
const TESTS = new Set(['defined', 'undefined', 'none', 'number', 'string', 'boolean', 'true', 'false', 'mapping', 'eq', 'equalto']); // prettier-ignore

/** Of a template that knows these names besides those that it sets itself. */
export function parse(template: string, names: readonly string[]): Node[] {
  return new Parser(partsOf(template), names).parse();
}

class Parser {
  readonly #parts: readonly Part[];
  readonly #names: Set<string>;
  #at = 0;
  #depth = 0;

  constructor(parts: readonly Part[], names: readonly string[]) {
    this.#parts = parts;
    this.#names = new Set(names);
  }

  parse(): Node[] {
    const { nodes, end } = this.#block();
    if (end !== undefined) throw new NotUnderstood(`"${end.word}" without "if"`);
    return nodes;
  }

  /** Up to the statement that ends it. */
  #block(): { nodes: Node[]; end: { word: string; tokens: Tokens } | undefined } {
    const nodes: Node[] = [];
    for (;;) {
      const part = this.#parts[this.#at++];
      if (part === undefined) return { nodes, end: undefined };
      if (part.kind === 'text') {
        nodes.push(part);
        continue;
      }
      const tokens = new Tokens(part.tokens);
      if (part.kind === 'output') {
        nodes.push({ kind: 'output', value: this.#whole(tokens) });
        continue;
      }
      const word = tokens.next()?.text ?? '';
      if (word === 'if') nodes.push(this.#if(tokens));
      else if (word === 'set') nodes.push(this.#set(tokens));
      else if (['elif', 'else', 'endif'].includes(word)) return { nodes, end: { word, tokens } };
      else throw new NotUnderstood(`"${word}" is not known`);
    }
  }

  #if(first: Tokens): Node {
    const branches: { when: Expression | undefined; then: Node[] }[] = [];
    let when: Expression | undefined = this.#whole(first);
    this.#deeper();
    for (;;) {
      const { nodes, end } = this.#block();
      branches.push({ when, then: nodes });
      if (end === undefined) throw new NotUnderstood('an "if" without its end');
      if (end.word === 'endif') break;
      when = end.word === 'elif' ? this.#whole(end.tokens) : undefined;
    }
    this.#depth -= 1;
    return { kind: 'if', branches };
  }

  #set(tokens: Tokens): Node {
    const name = tokens.next();
    if (name?.kind !== 'name') throw new NotUnderstood('a name to set is missing');
    tokens.expect('=');
    const value = this.#whole(tokens);
    this.#names.add(name.text);
    return { kind: 'set', name: name.text, value };
  }

  #whole(tokens: Tokens): Expression {
    const expression = this.#expression(tokens);
    if (tokens.peek() !== undefined) throw new NotUnderstood(`"${tokens.peek()?.text}" is not expected`);
    return expression;
  }

  #expression(tokens: Tokens): Expression {
    this.#deeper();
    let left = this.#either(tokens);
    while (tokens.take('if')) {
      const when = this.#either(tokens);
      const otherwise = tokens.take('else') ? this.#expression(tokens) : undefined;
      left = { kind: 'choice', when, then: left, otherwise };
    }
    this.#depth -= 1;
    return left;
  }

  #either(tokens: Tokens): Expression {
    return this.#chain(tokens, ['or'], () => this.#chain(tokens, ['and'], () => this.#not(tokens)));
  }

  #not(tokens: Tokens): Expression {
    if (!tokens.take('not')) return this.#comparison(tokens);
    this.#deeper();
    const of = this.#not(tokens);
    this.#depth -= 1;
    return { kind: 'not', of };
  }

  #comparison(tokens: Tokens): Expression {
    const left = this.#sum(tokens);
    const sign = tokens.peek()?.kind === 'string' ? '' : (tokens.peek()?.text ?? '');
    if (COMPARISONS.has(sign) || sign === 'in') {
      tokens.next();
      return { kind: 'binary', sign, left, right: this.#sum(tokens) };
    }
    if (sign !== 'not') return left;
    tokens.next();
    tokens.expect('in');
    return { kind: 'not', of: { kind: 'binary', sign: 'in', left, right: this.#sum(tokens) } };
  }

  #sum(tokens: Tokens): Expression {
    const product = (): Expression =>
      this.#chain(tokens, ['*', '/', '//', '%'], () => this.#unary(tokens, true));
    return this.#chain(tokens, ['+', '-'], () => this.#chain(tokens, ['~'], product));
  }

  #chain(tokens: Tokens, signs: readonly string[], operand: () => Expression): Expression {
    let left = operand();
    for (;;) {
      const sign = signs.find((one) => tokens.take(one));
      if (sign === undefined) return left;
      left = { kind: 'binary', sign, left, right: operand() };
    }
  }

  /** A filter is of the whole of `-x`. */
  #unary(tokens: Tokens, withFilters: boolean): Expression {
    this.#deeper();
    const of = tokens.take('-')
      ? ({ kind: 'minus', of: this.#unary(tokens, false) } as const)
      : this.#postfix(tokens, this.#primary(tokens));
    this.#depth -= 1;
    return withFilters ? this.#filters(tokens, of) : of;
  }

  #primary(tokens: Tokens): Expression {
    const token = tokens.next();
    switch (token?.kind) {
      case 'number':
        return { kind: 'value', value: Number(token.text) };
      case 'string':
        return { kind: 'value', value: token.text };
      case 'name':
        return this.#named(tokens, token.text);
      case 'sign':
      case undefined:
        return this.#bracketed(tokens, token?.text);
    }
  }

  #named(tokens: Tokens, name: string): Expression {
    const word = WORDS.get(name);
    if (word !== undefined) return { kind: 'value', value: word };
    if (this.#names.has(name)) return { kind: 'name', name };
    if (FUNCTIONS.has(name) && tokens.take('(')) return this.#call(name, this.#arguments(tokens, name, 0));
    throw new NotUnderstood(`"${name}" is not known`);
  }

  #bracketed(tokens: Tokens, sign: string | undefined): Expression {
    if (sign === '(') {
      const inner = this.#expression(tokens);
      tokens.expect(')');
      return inner;
    }
    if (sign === '[') {
      return { kind: 'list', items: this.#until(tokens, ']', () => this.#expression(tokens)) };
    }
    if (sign !== '{') throw new NotUnderstood(`"${sign ?? ''}" is not expected`);
    const entries = this.#until(tokens, '}', () => {
      const key = this.#expression(tokens);
      tokens.expect(':');
      return [key, this.#expression(tokens)] as const;
    });
    return { kind: 'dictionary', entries };
  }

  #until<One>(tokens: Tokens, closing: string, one: () => One): One[] {
    const all: One[] = [];
    while (!tokens.take(closing)) {
      if (all.length > 0) {
        tokens.expect(',');
        if (tokens.take(closing)) break;
      }
      all.push(one());
    }
    return all;
  }

  #postfix(tokens: Tokens, of: Expression): Expression {
    let left = of;
    for (;;) {
      if (tokens.take('.')) {
        const name = tokens.next();
        if (name?.kind !== 'name' && name?.kind !== 'number') throw new NotUnderstood('a name is missing');
        if (METHODS.has(name.text) && tokens.take('(')) {
          left = this.#call(METHODS.get(name.text) ?? '', [left, ...this.#arguments(tokens, METHODS.get(name.text) ?? '', 1)]); // prettier-ignore
        } else left = { kind: 'member', of: left, key: { kind: 'value', value: keyOf(name) } };
      } else if (tokens.take('[')) {
        left = { kind: 'member', of: left, key: this.#expression(tokens) };
        tokens.expect(']');
      } else return left;
    }
  }

  #filters(tokens: Tokens, of: Expression): Expression {
    let left = of;
    for (;;) {
      if (tokens.take('|')) {
        const name = tokens.next()?.text ?? '';
        const args = tokens.take('(') ? this.#arguments(tokens, name, 1) : [];
        left = this.#call(name, [left, ...args]);
      } else if (tokens.take('is')) left = this.#test(tokens, left);
      else return left;
    }
  }

  #test(tokens: Tokens, of: Expression): Expression {
    const isNot = tokens.take('not');
    const name = tokens.next()?.text ?? '';
    if (!TESTS.has(name)) throw new NotUnderstood(`the test "${name}" is not known`);
    const args = name === 'eq' || name === 'equalto' ? [this.#unary(tokens, false)] : [];
    const test: Expression = { kind: 'call', name: `is ${name}`, args: [of, ...args] };
    return isNot ? { kind: 'not', of: test } : test;
  }

  #call(name: string, args: Expression[]): Expression {
    const known = FUNCTIONS.get(name);
    if (known === undefined) throw new NotUnderstood(`the filter "${name}" is not known`);
    if (args.length > known.parameters.length) throw new NotUnderstood(`"${name}" has too many arguments`);
    return { kind: 'call', name, args };
  }

  /** Those that are named, in their places. */
  #arguments(tokens: Tokens, name: string, given: number): Expression[] {
    const parameters = FUNCTIONS.get(name)?.parameters.slice(given) ?? [];
    const args: Expression[] = [];
    this.#until(tokens, ')', () => {
      const parameter = tokens.named();
      const place = parameter === undefined ? args.length : parameters.indexOf(parameter);
      if (place < 0) throw new NotUnderstood(`"${name}" has no "${parameter ?? ''}"`);
      for (let index = args.length; index < place; index++) args.push({ kind: 'value', value: null });
      args[place] = this.#expression(tokens);
    });
    return args;
  }

  #deeper(): void {
    if (++this.#depth > DEPTH_MAX) throw new NotUnderstood('it is too deep');
  }
}

class Tokens {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  next(): Token | undefined {
    return this.#tokens[this.#at++];
  }

  /** True, and past it, if it is the next one. */
  take(text: string): boolean {
    const token = this.peek();
    if (token?.text !== text || token.kind === 'string' || token.kind === 'number') return false;
    this.#at += 1;
    return true;
  }

  expect(text: string): void {
    if (!this.take(text)) throw new NotUnderstood(`"${text}" is missing`);
  }

  /** The name in front of a `=`. */
  named(): string | undefined {
    const [name, sign] = this.#tokens.slice(this.#at, this.#at + 2);
    if (name?.kind !== 'name' || sign?.kind !== 'sign' || sign.text !== '=') return undefined;
    this.#at += 2;
    return name.text;
  }
}

function keyOf({ kind, text }: Token): string | number {
  if (kind === 'name' && RESERVED.has(text)) throw new NotUnderstood(`"${text}" is not expected`);
  return kind === 'number' ? Number(text) : text;
}
