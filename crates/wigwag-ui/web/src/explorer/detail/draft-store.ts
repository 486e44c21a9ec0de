/**
 * The message that is being written for a broker, kept while other things are looked at. Not a store of frames: what is
 * typed must be in its field before the next key.
 */
import type { StoreApi } from 'zustand';
import { createStore, useStore } from 'zustand';

import { perStation, useStation } from '../../station.ts';
import type { Draft } from './draft.ts';
import { EMPTY } from './draft.ts';

interface DraftState {
  draft: Draft;
  /** The topic that was looked at last. */
  suggested: string;
  /** Its first field is to have the focus as soon as it is there. */
  isFocusWanted: boolean;
  edit: (change: Partial<Draft>) => void;
  /** Takes the topic that is being looked at, unless the user has typed another one. */
  suggestTopic: (topic: string) => void;
  wantFocus: (isFocusWanted: boolean) => void;
}

export function emptyDraft(): StoreApi<DraftState> {
  return createStore<DraftState>()((set) => ({
    draft: EMPTY,
    suggested: '',
    isFocusWanted: false,
    edit: (change) => {
      set(({ draft }) => ({ draft: { ...draft, ...change } }));
    },
    wantFocus: (isFocusWanted) => {
      set({ isFocusWanted });
    },
    suggestTopic: (topic) => {
      set(({ draft, suggested }) => {
        const isOurs = draft.topic === '' || draft.topic === suggested;
        return { suggested: topic, draft: isOurs ? { ...draft, topic } : draft };
      });
    },
  }));
}

const draftOf = perStation(emptyDraft);

export function useDraft(): DraftState {
  return useStore(draftOf(useStation()));
}
