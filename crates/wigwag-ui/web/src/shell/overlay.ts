/** Which of the shell's dialogs is open: one at a time, whoever asked for it. */
import { create } from 'zustand';

export type Overlay = 'palette' | 'keys' | 'login' | 'brokers';

interface OverlayState {
  open: Overlay | undefined;
  show: (overlay: Overlay) => void;
  close: () => void;
}

export const useOverlay = create<OverlayState>()((set) => ({
  open: undefined,
  show: (open) => {
    set({ open });
  },
  close: () => {
    set({ open: undefined });
  },
}));
