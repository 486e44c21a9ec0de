/** The shell's dialogs, and what opens and closes them besides the user. */
import { useEffect } from 'react';

import { useStation } from '../station.ts';
import { useStoreValue } from '../ui/frame-store.ts';
import { LoginDialog } from './LoginDialog.tsx';
import { useOverlay } from './overlay.ts';

export function Overlays() {
  const { open, close } = useOverlay();
  useLoginPrompt();
  switch (open) {
    case 'login':
      return <LoginDialog onClose={close} />;
    case undefined:
      return null;
  }
}

/** Asks when the broker does, and stops asking when there is nothing to answer any more. */
function useLoginPrompt(): void {
  const phase = useStoreValue(useStation().connection, (view) => view.status.phase);
  useEffect(() => {
    const { open, show, close } = useOverlay.getState();
    if (phase === 'login') show('login');
    else if (phase !== 'connecting' && open === 'login') close();
  }, [phase]);
}
