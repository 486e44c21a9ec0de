/**
 * The rows of the tree: which nodes are seen, in which order, and where the cursor goes. Lists the open part of the tree
 * anew when it has changed, and looks nothing else up.
 */
import type { Order, Place, Row, Rows, Step } from '../protocol.ts';
import { ordered, RESORT_MS } from './order.ts';
import type { Test } from './search.ts';
import type { Node, Trie } from './trie.ts';
import { topicsOf, upwards } from './trie.ts';

const PREVIEW_BYTES = 160;
/** Nobody reads more of a level, and it may have 65,535 bytes. */
const NAME_CHARS_MAX = 200;
const utf8 = new TextDecoder();

interface Seen {
  node: Node;
  position: number;
  setSize: number;
  hasChildren: boolean;
}

export class Outline {
  readonly #trie: Trie;
  #rows: Seen[] = [];
  #version = -1;
  #isStale = true;
  #order: Order = 'name';
  #listedAt = 0;
  #now = 0;
  #cursor: Node | undefined;
  #test: Test | undefined;
  /** Topics that the search has found, and how many of them are at and below each node. */
  readonly #found = new Set<Node>();
  readonly #shown = new Map<Node, number>();
  /** Topics to look at, for the first time or because a message has come. */
  readonly #unsearched = new Set<Node>();
  /** While searching, everything found is open but these. */
  readonly #closed = new Set<Node>();

  constructor(trie: Trie) {
    this.#trie = trie;
  }

  get found(): number | undefined {
    return this.#test === undefined ? undefined : this.#found.size;
  }

  /** The topics at and below that are worth telling of: all, or those that the search has found. */
  *topics(node: Node): Generator<Node> {
    for (const topic of topicsOf(node)) if (this.#test === undefined || this.#found.has(topic)) yield topic;
  }

  search(test: Test | undefined): void {
    this.#test = test;
    this.#found.clear();
    this.#shown.clear();
    this.#closed.clear();
    this.#unsearched.clear();
    this.#isStale = true;
    if (test !== undefined) this.handleTouched(topicsOf(this.#trie.root));
  }

  get unsearched(): number {
    return this.#unsearched.size;
  }

  /** Goes on with the search, until it is through or time is up. */
  examine(isTimeUp: () => boolean = () => false): void {
    if (this.#test === undefined) return;
    for (const node of this.#unsearched) {
      this.#unsearched.delete(node);
      this.#examine(node, this.#test);
      if (isTimeUp()) return;
    }
  }

  setOrder(order: Order): void {
    this.#order = order;
    this.#isStale = true;
  }

  /** These have had messages, and may match where they did not, or no longer. */
  handleTouched(nodes: Iterable<Node>): void {
    if (this.#test !== undefined) for (const node of nodes) this.#unsearched.add(node);
  }

  /** It is in the tree no more; `above` is what is left of the way to it. */
  handleGone({ node, above }: { node: Node; above: Node }): void {
    this.#unsearched.delete(node);
    this.#isStale = true;
    if (this.#found.delete(node)) this.#countShown(node, -1);
    const cursor = this.#cursor;
    if (cursor !== undefined && this.#trie.find(cursor.path) !== cursor) {
      this.#cursor = above === this.#trie.root ? undefined : above;
    }
  }

  window(first: number, count: number, now: number): Rows {
    this.#now = now;
    if (this.#order !== 'name' && now - this.#listedAt >= RESORT_MS) this.#isStale = true;
    const rows = this.#list();
    const begin = Math.max(0, Math.min(first, rows.length - count));
    const index = this.#cursor === undefined ? -1 : this.#indexOf(this.#cursor);
    return {
      first: begin,
      total: rows.length,
      rows: rows.slice(begin, begin + count).map((seen) => this.#row(seen, now)),
      cursor: this.#cursor === undefined || index < 0 ? undefined : { index, path: this.#cursor.path },
    };
  }

  get place(): Place | undefined {
    this.#list();
    return this.#cursor && { path: this.#cursor.path, isTopic: this.#cursor.total > 0 };
  }

  putCursor(path: string): void {
    const node = this.#trie.find(path);
    if (node !== undefined) this.#cursor = node;
  }

  toggle(path: string): void {
    const node = this.#trie.find(path);
    if (node === undefined) return;
    this.#cursor = node;
    this.#setOpen(node, !this.#isOpen(node));
  }

  reveal(path: string): boolean {
    const node = this.#trie.find(path);
    if (node === undefined) return false;
    for (const above of upwards(node)) if (above !== node) this.#setOpen(above, true);
    this.#cursor = node;
    return true;
  }

  walk(step: Step): void {
    const rows = this.#list();
    const at = this.#cursor === undefined ? -1 : this.#indexOf(this.#cursor);
    const seen = rows[at];
    switch (step.kind) {
      case 'by':
        this.#goTo(at < 0 ? 0 : at + step.rows);
        break;
      case 'first':
        this.#goTo(0);
        break;
      case 'last':
        this.#goTo(rows.length - 1);
        break;
      case 'in':
        if (seen?.hasChildren !== true) break;
        if (this.#isOpen(seen.node)) this.#goTo(at + 1);
        else this.#setOpen(seen.node, true);
        break;
      case 'out':
        if (seen === undefined) break;
        if (seen.hasChildren && this.#isOpen(seen.node)) this.#setOpen(seen.node, false);
        else if (seen.node.parent !== this.#trie.root) this.#cursor = seen.node.parent;
        break;
      case 'open-siblings':
        for (const sibling of seen?.node.parent?.sorted ?? []) this.#setOpen(sibling, true);
        break;
      case 'type':
        this.#findName(step.text.toLowerCase(), at);
        break;
    }
  }

  #examine(node: Node, test: Test): void {
    const isFound = test(node.path, node.latest);
    if (isFound === this.#found.has(node)) return;
    this.#isStale = true;
    if (isFound) this.#found.add(node);
    else this.#found.delete(node);
    this.#countShown(node, isFound ? 1 : -1);
  }

  #countShown(node: Node, more: 1 | -1): void {
    for (const above of upwards(node)) {
      const count = (this.#shown.get(above) ?? 0) + more;
      if (count > 0) this.#shown.set(above, count);
      else this.#shown.delete(above);
    }
  }

  #isOpen(node: Node): boolean {
    return this.#test === undefined ? node.isOpen : !this.#closed.has(node);
  }

  #setOpen(node: Node, isOpen: boolean): void {
    if (this.#test === undefined) node.isOpen = isOpen;
    else if (isOpen) this.#closed.delete(node);
    else this.#closed.add(node);
    this.#isStale = true;
  }

  #list(): readonly Seen[] {
    if (!this.#isStale && this.#version === this.#trie.version) return this.#rows;
    this.#rows = [];
    this.#version = this.#trie.version;
    this.#isStale = false;
    this.#listedAt = this.#now;
    this.#addChildren(this.#trie.root);
    // What was under the cursor may have been closed away.
    if (this.#cursor !== undefined) this.#cursor = this.#lastSeen(this.#cursor);
    return this.#rows;
  }

  #addChildren(node: Node): void {
    const children = this.#visible(node);
    for (const [index, child] of children.entries()) {
      const hasChildren = this.#hasVisible(child);
      this.#rows.push({ node: child, position: index + 1, setSize: children.length, hasChildren });
      if (hasChildren && this.#isOpen(child)) this.#addChildren(child);
    }
  }

  #visible(node: Node): readonly Node[] {
    const children = ordered(node, this.#order, this.#now);
    return this.#test === undefined ? children : children.filter((child) => this.#shown.has(child));
  }

  #hasVisible(node: Node): boolean {
    if (this.#test === undefined) return (node.children?.size ?? 0) > 0;
    return (this.#shown.get(node) ?? 0) > (this.#found.has(node) ? 1 : 0);
  }

  /** The node itself, or the nearest above it that has a row. */
  #lastSeen(node: Node): Node | undefined {
    let seen: Node | undefined;
    for (const above of [...upwards(node)].reverse()) {
      if (above === this.#trie.root) continue;
      if (this.#test !== undefined && !this.#shown.has(above)) break;
      seen = above;
      if (!this.#isOpen(above)) break;
    }
    return seen;
  }

  #indexOf(node: Node): number {
    return this.#rows.findIndex((seen) => seen.node === node);
  }

  #goTo(index: number): void {
    const last = this.#rows.length - 1;
    this.#cursor = this.#rows[Math.max(0, Math.min(index, last))]?.node;
  }

  #findName(start: string, from: number): void {
    const rows = this.#rows;
    // One letter goes on to the next row, more stay where they fit.
    const first = start.length === 1 ? from + 1 : Math.max(0, from);
    for (let step = 0; step < rows.length; step++) {
      const seen = rows[(first + step) % rows.length];
      if (seen?.node.name.toLowerCase().startsWith(start) === true) {
        this.#cursor = seen.node;
        return;
      }
    }
  }

  #row({ node, position, setSize, hasChildren }: Seen, now: number): Row {
    return {
      path: node.path,
      name: node.name.length > NAME_CHARS_MAX ? `${node.name.slice(0, NAME_CHARS_MAX)}…` : node.name,
      level: node.depth,
      setSize,
      position,
      isOpen: hasChildren ? this.#isOpen(node) : undefined,
      topics: node.topics,
      messages: node.messages,
      rate: node.rate(now),
      isRetained: node.isRetained,
      preview: node.latest && utf8.decode(node.latest.payload.subarray(0, PREVIEW_BYTES)),
      at: node.latest?.at ?? 0,
    };
  }
}
