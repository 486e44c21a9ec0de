/** How components reach the Explorer and the messages of one topic. */
import { useEffect, useMemo } from 'react';

import type { TopicView } from '../message/message.ts';
import type { Station } from '../station.ts';
import { useStation } from '../station.ts';
import { useStore } from '../ui/frame-store.ts';
import { Explorer, openTreeWorker } from './explorer.ts';

const explorers = new WeakMap<Station, Explorer>();

/** One for each station, made when it is first asked for. */
export function useExplorer(): Explorer {
  const station = useStation();
  let explorer = explorers.get(station);
  if (explorer === undefined) {
    const { api } = station.broker;
    const address = api === undefined ? undefined : new URL(api, document.baseURI).href;
    explorer = new Explorer(openTreeWorker, station.connection, address);
    explorers.set(station, explorer);
  }
  return explorer;
}

/** The messages of a topic that are kept, and new ones as they come. */
export function useTopic(topic: string): TopicView {
  const explorer = useExplorer();
  const store = useMemo(() => explorer.topic(topic), [explorer, topic]);
  useEffect(() => explorer.watch(topic), [explorer, topic]);
  return useStore(store);
}
