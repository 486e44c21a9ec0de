/** The shell's dialogs, and what opens and closes them besides the user. */
import { useEffect } from 'react';

import { sessionOf } from '../session.ts';
import { useStation } from '../station.ts';
import { useStoreValue } from '../ui/frame-store.ts';
import { BrokersDialog } from './BrokersDialog.tsx';
import { KeysDialog } from './KeysDialog.tsx';
import { LoginDialog } from './LoginDialog.tsx';
import { useOverlay } from './overlay.ts';
import { PaletteDialog } from './palette/PaletteDialog.tsx';

export function Overlays() {
  const { open, close } = useOverlay();
  useLoginPrompt();
  switch (open) {
    case 'palette':
      return <PaletteDialog onClose={close} />;
    case 'keys':
      return <KeysDialog onClose={close} />;
    case 'login':
      return <LoginDialog onClose={close} />;
    case 'brokers':
      return <BrokersDialog onClose={close} />;
    case undefined:
      return null;
  }
}

/** Asks when the broker does, and stops asking when there is nothing to answer any more. */
function useLoginPrompt(): void {
  const station = useStation();
  const phase = useStoreValue(station.connection, (view) => view.status.phase);
  const session = sessionOf(station);
  useEffect(
    () =>
      session?.subscribe(() => {
        if (session.snapshot().isNeeded) useOverlay.getState().show('login');
      }),
    [session],
  );
  useEffect(() => {
    const { open, show, close } = useOverlay.getState();
    if (phase === 'login') show('login');
    else if (phase !== 'connecting' && open === 'login') close();
  }, [phase]);
}
