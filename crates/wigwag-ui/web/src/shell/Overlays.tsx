/**
 * The shell's dialogs, and what opens and closes them besides the user. The code of most of them comes when they are
 * opened; that of the palette is there, because people type on at once.
 */
import { lazy, Suspense, useEffect } from 'react';

import { sessionOf } from '../session.ts';
import { useStation } from '../station.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { useStoreValue } from '../ui/frame-store.ts';
import type { Overlay } from './overlay.ts';
import { useOverlay } from './overlay.ts';
import { Guard, Reload } from './PageFrame.tsx';
import { PaletteDialog } from './palette/PaletteDialog.tsx';

const BrokersDialog = lazy(async () => ({ default: (await import('./BrokersDialog.tsx')).BrokersDialog }));
const KeysDialog = lazy(async () => ({ default: (await import('./KeysDialog.tsx')).KeysDialog }));
const LoginDialog = lazy(async () => ({ default: (await import('./LoginDialog.tsx')).LoginDialog }));

export function Overlays() {
  const { open, close } = useOverlay();
  useLoginPrompt();
  if (open === undefined) return null;
  return (
    <Guard
      key={open}
      broken={(problem) => (
        <Dialog title="This dialog cannot be shown" onClose={close} className="md:max-w-md">
          <div className="flex flex-col gap-4 p-5">
            <Reload problem={problem} />
          </div>
        </Dialog>
      )}
    >
      <Suspense>
        <Opened overlay={open} close={close} />
      </Suspense>
    </Guard>
  );
}

function Opened({ overlay, close }: { overlay: Overlay; close: () => void }) {
  switch (overlay) {
    case 'palette':
      return <PaletteDialog onClose={close} />;
    case 'keys':
      return <KeysDialog onClose={close} />;
    case 'login':
      return <LoginDialog onClose={close} />;
    case 'brokers':
      return <BrokersDialog onClose={close} />;
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
