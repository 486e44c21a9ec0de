/** The page at /explore: filters, the tree of topics, and one topic in detail beside it. */
import { useEffect, useMemo } from 'react';
import { Link, useLocation, useNavigate, useSearchParams } from 'react-router';

import { PageHeader } from '../shell/PageHeader.tsx';
import { topicOfPath, topicPath } from '../shell/links.ts';
import { usePageKeys } from '../shell/usePageKeys.ts';
import { useSearch } from '../shell/useSearch.ts';
import { Button } from '../ui/Button.tsx';
import { classNames } from '../ui/class-names.ts';
import { useStoreValue } from '../ui/frame-store.ts';
import { filtersOf, orderOf, searchOf, withState } from './address.ts';
import { DetailPane } from './detail/DetailPane.tsx';
import { useDraft } from './detail/draft-store.ts';
import { useView, withView } from './detail/useView.ts';
import type { Explorer } from './explorer.ts';
import { FilterBar } from './FilterBar.tsx';
import { FirstFilter } from './FirstFilter.tsx';
import { TreePane } from './TreePane.tsx';
import { useExplorer } from './useTopic.ts';

export function ExplorerPage() {
  const explorer = useExplorer();
  const topic = topicOfPath(useLocation().pathname);
  useAddress(explorer, topic);
  const filters = useStoreValue(explorer, (view) => view.filters);
  const source = useStoreValue(explorer, (view) => view.source);
  const [view, setView] = useView();
  const { wantFocus } = useDraft();
  useKeys(explorer);
  // On small screens there is room for one of the two.
  const isTreeAway = topic !== undefined || view === 'publish';
  return (
    <>
      <PageHeader title="Explorer">
        <div className="flex flex-wrap items-center gap-2">
          <FilterBar explorer={explorer} source={source} filters={filters} />
          <Button
            look="ghost"
            icon="up"
            className="lg:hidden"
            onClick={() => {
              wantFocus(true);
              setView('publish');
            }}
          >
            Publish
          </Button>
        </div>
      </PageHeader>
      <div className="grid min-w-0 grow gap-4 lg:grid-cols-[minmax(20rem,2fr)_minmax(0,3fr)] lg:items-start">
        <div className={classNames('min-w-0 lg:sticky lg:top-5', isTreeAway && 'max-lg:hidden')}>
          {source === 'filters' && filters.length === 0 ? (
            <FirstFilter explorer={explorer} />
          ) : (
            <Tree explorer={explorer} topic={topic} />
          )}
        </div>
        <div className="min-w-0">
          {isTreeAway && <BackToTree />}
          <DetailPane topic={topic} />
        </div>
      </div>
    </>
  );
}

function Tree({ explorer, topic }: { explorer: Explorer; topic: string | undefined }) {
  const navigate = useNavigate();
  const { search } = useLocation();
  return (
    <TreePane
      explorer={explorer}
      topic={topic}
      onOpen={(path) => {
        void navigate({ pathname: topicPath(path), search });
      }}
    />
  );
}

/** A key for what is at the tree's toolbar, wherever the focus is. */
function useKeys(explorer: Explorer): void {
  const keys = useMemo(
    () => ({
      ' ': () => {
        explorer.setPaused(!explorer.snapshot().isPaused);
      },
    }),
    [explorer],
  );
  usePageKeys(keys);
}

function BackToTree() {
  const [params] = useSearchParams();
  const isPublishing = params.get('view') === 'publish';
  const search = (isPublishing ? withView(params, 'value') : params).toString();
  return (
    <Link
      to={{ pathname: '/explore', search }}
      className="mb-3 inline-flex min-h-11 items-center text-accent underline lg:hidden"
    >
      Back to the tree
    </Link>
  );
}

/** The address begins the Explorer, and follows it from then on. */
function useAddress(explorer: Explorer, topic: string | undefined): void {
  const [params, change] = useSearch();
  const source = useStoreValue(explorer, (view) => view.source);
  const filters = useStoreValue(explorer, (view) => view.filters);
  const search = useStoreValue(explorer, (view) => view.search);
  const order = useStoreValue(explorer, (view) => view.order);
  useEffect(() => {
    const { filters: present, search: searched, order: ordered, source: from } = explorer.snapshot();
    const wanted = filtersOf(params, explorer.hasTree ? undefined : topic);
    if (present.length === 0 && wanted.length > 0) explorer.setFilters(wanted);
    else if (from === 'tree') explorer.showTree();
    const sought = searchOf(params);
    if (searched === undefined && sought !== undefined) explorer.setSearch(sought);
    if (ordered === 'name' && orderOf(params) !== 'name') explorer.setOrder(orderOf(params));
    if (topic !== undefined) explorer.reveal(topic);
    // Only what the page was opened with; later the address follows.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [explorer]);
  useEffect(() => {
    if (source === 'filters' && filters.length === 0) return;
    change((before) => withState(before, filters, search, order));
  }, [source, filters, search, order, params, change]);
}
