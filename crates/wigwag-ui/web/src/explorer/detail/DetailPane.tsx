/** The Explorer beside its tree: the topic that is open, a panel to publish, and the charts. Which view it is says the address. */
import { lazy, Suspense, useEffect, useMemo } from 'react';

import { usePageKeys } from '../../shell/usePageKeys.ts';
import { useStore, useStoreValue } from '../../ui/frame-store.ts';
import { Tabs } from '../../ui/Tabs.tsx';
import { draftOf } from './draft.ts';
import { useDraft } from './draft-store.ts';
import { visibleStart } from '../../ui/visible.ts';
import { usePins, usePublisher } from './detail-state.ts';
import { PublishPanel } from './PublishPanel.tsx';
import { TopicDetail } from './TopicDetail.tsx';
import type { View } from './useView.ts';
import { useView } from './useView.ts';

const PinnedCharts = lazy(() => import('./PinnedCharts.tsx'));

/** A name of 65,535 bytes would be all there is to see. */
const TOPIC_CHARS_MAX = 400;

/** `topic` is absent while none is open. */
export function DetailPane({ topic }: { topic: string | undefined }) {
  const { edit, suggestTopic, wantFocus } = useDraft();
  const hasPins = useStoreValue(usePins(), (all) => all.length > 0);
  const [view, setView] = useView();
  const keys = useMemo(
    () => ({
      '.': () => {
        wantFocus(true);
        setView('publish');
      },
    }),
    [setView, wantFocus],
  );
  usePageKeys(keys);
  useEffect(() => {
    if (topic !== undefined) suggestTopic(topic);
  }, [suggestTopic, topic]);
  return (
    <div className="flex min-w-0 flex-col gap-4">
      <section
        aria-label={topic === undefined ? 'Publish' : 'Topic'}
        className="min-w-0 rounded-card border border-line bg-surface shadow-card"
      >
        {topic !== undefined && (
          <h2 data-testid="topic" className="px-4 pt-3 pb-1 font-mono text-sm font-medium wrap-anywhere">
            <bdi>{visibleStart(topic, TOPIC_CHARS_MAX)}</bdi>
          </h2>
        )}
        <Tabs label="Views of the topic" value={view} tabs={tabs()} onChange={setView}>
          {view === 'publish' ? (
            <PublishPanel />
          ) : topic === undefined ? (
            <p className="px-4 py-4 text-ink-soft">Choose a topic in the tree to see its messages.</p>
          ) : (
            <TopicDetail
              key={topic}
              topic={topic}
              part={view}
              onResend={(message) => {
                edit(draftOf(message));
                setView('publish');
              }}
            />
          )}
        </Tabs>
      </section>
      {hasPins && (
        <Suspense fallback={null}>
          <PinnedCharts />
        </Suspense>
      )}
    </div>
  );
}

function tabs(): { value: View; name: React.ReactNode }[] {
  return [
    { value: 'value', name: 'Value' },
    { value: 'changes', name: 'Changes' },
    { value: 'history', name: 'History' },
    { value: 'publish', name: <PublishTab /> },
  ];
}

/** Says when messages are being sent, wherever one looks. */
function PublishTab() {
  const { repetition } = useStore(usePublisher());
  return repetition === undefined ? 'Publish' : <span className="text-accent">Publish · repeating</span>;
}
