/** A template that is understood, and what it makes of values. Pure; without loops, so it ends. */
import { bounded, FUNCTIONS, memberOf } from './functions.ts';
import type { Expression, Node } from './parse.ts';
import { parse } from './parse.ts';
import { NotUnderstood } from './tokens.ts';
import { Failure, isSame, isTrue, numberOf, textOf } from './values.ts';

const CHARS_MAX = 2_000;

type Names = ReadonlyMap<string, unknown>;

export class Template {
  readonly source: string;
  readonly nodes: readonly Node[];

  private constructor(source: string, nodes: readonly Node[]) {
    this.source = source;
    this.nodes = nodes;
  }

  /** Undefined for one that is not understood. */
  static of(source: string, names: readonly string[]): Template | undefined {
    if (source.length > CHARS_MAX) return undefined;
    try {
      return new Template(source, parse(source.trim(), names));
    } catch (error) {
      if (error instanceof NotUnderstood) return undefined;
      throw error;
    }
  }

  /**
   * Its text; the value itself of one that makes nothing but a value. Undefined when that is not there, or when the
   * template can do nothing with the values.
   */
  valueOf(values: Names): unknown {
    return attempt(() => {
      const evaluation = new Evaluation(values);
      const [first] = this.nodes;
      // Most templates are that, and are evaluated with every message.
      if (first?.kind === 'output' && this.nodes.length === 1) return evaluation.value(first.value);
      const pieces = evaluation.pieces(this.nodes);
      const told = pieces.filter((one) => !isBlank(one));
      const [only] = told.length === 1 ? told : [];
      return only?.isValue === true ? only.value : joined(pieces);
    });
  }

  /** Undefined when it can do nothing with the values. */
  textOf(values: Names): string | undefined {
    return attempt(() => joined(new Evaluation(values).pieces(this.nodes)));
  }
}

function attempt<Made>(make: () => Made): Made | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

function joined(pieces: readonly Piece[]): string {
  return bounded(pieces.map(({ value }) => textOf(value)).join('')).trim();
}

interface Piece {
  value: unknown;
  isValue: boolean;
}

function isBlank({ value, isValue }: Piece): boolean {
  return !isValue && typeof value === 'string' && value.trim() === '';
}

class Evaluation {
  readonly #given: Names;
  /** Set by the template itself. */
  readonly #set = new Map<string, unknown>();

  constructor(names: Names) {
    this.#given = names;
  }

  pieces(nodes: readonly Node[]): Piece[] {
    return nodes.flatMap((node): Piece[] => {
      switch (node.kind) {
        case 'text':
          return [{ value: node.text, isValue: false }];
        case 'output':
          return [{ value: this.value(node.value), isValue: true }];
        case 'set':
          this.#set.set(node.name, this.value(node.value));
          return [];
        case 'if': {
          const taken = node.branches.find(({ when }) => when === undefined || isTrue(this.value(when)));
          return taken === undefined ? [] : this.pieces(taken.then);
        }
      }
    });
  }

  value(of: Expression): unknown {
    switch (of.kind) {
      case 'value':
        return of.value;
      case 'name':
        return (this.#set.has(of.name) ? this.#set : this.#given).get(of.name);
      case 'list':
        return of.items.map((item) => this.value(item));
      case 'dictionary':
        return new Map(of.entries.map(([key, member]) => [this.value(key), this.value(member)]));
      case 'member':
        return memberOf(this.value(of.of), this.value(of.key));
      case 'not':
        return !isTrue(this.value(of.of));
      case 'minus':
        return -numberOf(this.value(of.of));
      case 'choice':
        if (isTrue(this.value(of.when))) return this.value(of.then);
        return of.otherwise === undefined ? undefined : this.value(of.otherwise);
      case 'call':
        return FUNCTIONS.get(of.name)?.apply(of.args.map((one) => this.#argument(of.name, one)));
      case 'binary':
        return this.#binary(of.sign, of.left, of.right);
    }
  }

  /** What is not there may be asked for deeply, if what is asked is whether it is there. */
  #argument(name: string, of: Expression): unknown {
    if (!ASKING.has(name) || of.kind !== 'member') return this.value(of);
    try {
      return this.value(of);
    } catch (error) {
      if (error instanceof Failure) return undefined;
      throw error;
    }
  }

  #binary(sign: string, one: Expression, other: Expression): unknown {
    const left = this.value(one);
    if (sign === 'and') return isTrue(left) ? this.value(other) : left;
    if (sign === 'or') return isTrue(left) ? left : this.value(other);
    const right = this.value(other);
    switch (sign) {
      case '==':
        return isSame(left, right);
      case '!=':
        return !isSame(left, right);
      case 'in':
        return isIn(left, right);
      case '~':
        return bounded(textOf(left) + textOf(right));
      case '<':
      case '<=':
      case '>':
      case '>=':
        return isOrdered(sign, left, right);
      default:
        if (sign === '+' && typeof left === 'string' && typeof right === 'string') {
          return bounded(left + right);
        }
        return calculated(sign, numberOf(left), numberOf(right));
    }
  }
}

const ASKING = new Set(['default', 'd', 'is defined', 'is undefined']);

function isIn(member: unknown, all: unknown): boolean {
  if (typeof all === 'string' && typeof member === 'string') return all.includes(member);
  if (Array.isArray(all)) return all.some((one) => isSame(one, member));
  if (all instanceof Map) return memberOf(all, member) !== undefined;
  if (typeof all === 'object' && all !== null)
    return typeof member === 'string' && Object.hasOwn(all, member);
  throw new Failure('nothing is in there');
}

function isOrdered(sign: string, left: unknown, right: unknown): boolean {
  const areTexts = typeof left === 'string' && typeof right === 'string';
  const [one, other] = areTexts ? [left, right] : [numberOf(left), numberOf(right)];
  switch (sign) {
    case '<':
      return one < other;
    case '<=':
      return one <= other;
    case '>':
      return one > other;
    default:
      return one >= other;
  }
}

function calculated(sign: string, left: number, right: number): number {
  switch (sign) {
    case '+':
      return numberOf(left + right);
    case '-':
      return numberOf(left - right);
    case '*':
      return numberOf(left * right);
    case '/':
      return numberOf(left / right);
    case '//':
      return numberOf(Math.floor(left / right));
    default:
      // Of the sign of what it is divided by.
      return numberOf(left - right * Math.floor(left / right));
  }
}
