/** In which order the branches of one branch stand. What is equal stands by its name. */
import type { Order } from '../protocol.ts';
import type { Node } from './trie.ts';

/** What the tree is ordered by may change with every message; a row that is aimed at must not. */
export const RESORT_MS = 2_000;

type Measure = (node: Node, now: number) => number;

/** The largest first. */
const MEASURES: Record<Exclude<Order, 'name'>, Measure> = {
  messages: (node) => node.messages,
  rate: (node, now) => node.rate(now),
  topics: (node) => node.topics,
  newest: (node) => node.lastAt,
};

/** The children of a node. */
export function ordered(node: Node, order: Order, now: number): readonly Node[] {
  if (order === 'name') return node.sorted;
  const measure = MEASURES[order];
  // Each is measured once: they are many, and a rate is not for free.
  return node.sorted
    .map((child) => ({ child, size: measure(child, now) }))
    .sort((left, right) => right.size - left.size)
    .map(({ child }) => child);
}
