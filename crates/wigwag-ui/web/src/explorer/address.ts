/** What of the Explorer is in its address besides the topic: filters, search and order, so that a link shows the same. */
import type { Order, Search, SearchKind, SearchPlace } from './protocol.ts';

const KINDS: readonly SearchKind[] = ['text', 'filter', 'regex'];
const PLACES: readonly SearchPlace[] = ['topic', 'payload', 'both'];

const ORDERS: readonly Order[] = ['name', 'messages', 'rate', 'topics', 'newest'];

export const NO_SEARCH: Search = { text: '', kind: 'text', place: 'both', matchCase: false };

/** A link to a topic that says nothing of filters wants that topic, and what is below it. */
export function filtersOf(params: URLSearchParams, topic: string | undefined): string[] {
  const filters = params.getAll('filter').filter((filter) => filter !== '');
  if (filters.length > 0 || topic === undefined) return filters;
  return [`${topic}/#`];
}

export function searchOf(params: URLSearchParams): Search | undefined {
  const text = params.get('q') ?? '';
  if (text === '') return undefined;
  return {
    text,
    kind: KINDS.find((kind) => kind === params.get('by')) ?? NO_SEARCH.kind,
    place: PLACES.find((place) => place === params.get('in')) ?? NO_SEARCH.place,
    matchCase: params.get('case') === '1',
  };
}

export function orderOf(params: URLSearchParams): Order {
  return ORDERS.find((order) => order === params.get('sort')) ?? 'name';
}

/** The rest of the address stays as it is. */
export function withState(
  params: URLSearchParams,
  filters: readonly string[],
  search: Search | undefined,
  order: Order,
): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const name of ['filter', 'q', 'by', 'in', 'case', 'sort']) next.delete(name);
  for (const filter of filters) next.append('filter', filter);
  if (search !== undefined && search.text !== '') {
    next.set('q', search.text);
    if (search.kind !== NO_SEARCH.kind) next.set('by', search.kind);
    if (search.place !== NO_SEARCH.place) next.set('in', search.place);
    if (search.matchCase) next.set('case', '1');
  }
  if (order !== 'name') next.set('sort', order);
  return next;
}
