/** How components reach the Explorer and the messages of one topic. */
import { useEffect, useMemo } from 'react';

import type { TopicView } from '../message/message.ts';
import { perStation, useStation } from '../station.ts';
import { useStore } from '../ui/frame-store.ts';
import { Explorer, openTreeWorker } from './explorer.ts';

const explorerOf = perStation(
  (station) => {
    const { api } = station.broker;
    const address = api === undefined ? undefined : new URL(api, document.baseURI).href;
    return new Explorer(openTreeWorker, station.connection, address);
  },
  (explorer) => {
    explorer.end();
  },
);

export function useExplorer(): Explorer {
  return explorerOf(useStation());
}

/** The messages of a topic that are kept, and new ones as they come. */
export function useTopic(topic: string): TopicView {
  const explorer = useExplorer();
  const store = useMemo(() => explorer.topic(topic), [explorer, topic]);
  useEffect(() => explorer.watch(topic), [explorer, topic]);
  return useStore(store);
}
