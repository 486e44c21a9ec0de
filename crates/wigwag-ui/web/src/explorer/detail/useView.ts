/** Which view of a topic is shown, or the panel to publish: it is in the address. */
import { useCallback } from 'react';

import { useSearch } from '../../shell/useSearch.ts';
import type { TopicPart } from './TopicDetail.tsx';

export type View = TopicPart | 'publish';

const VIEWS: readonly View[] = ['value', 'changes', 'history', 'publish'];

export function useView(): [View, (view: View) => void] {
  const [search, change] = useSearch();
  const setView = useCallback(
    (view: View): void => {
      change((before) => withView(before, view));
    },
    [change],
  );
  return [VIEWS.find((view) => view === search.get('view')) ?? 'value', setView];
}

/** The rest of the address stays as it is. */
export function withView(search: URLSearchParams, view: View): URLSearchParams {
  const after = new URLSearchParams(search);
  if (view === 'value') after.delete('view');
  else after.set('view', view);
  return after;
}
