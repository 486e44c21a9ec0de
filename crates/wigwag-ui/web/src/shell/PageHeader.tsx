/**
 * Title of a page, what it sums up, and the state of the connection, which every page shows at the same place: beside the
 * title, which gives way where both do not fit. The sum has a line of its own where there is no room between the two.
 */
import type { ReactNode } from 'react';

import { useStation } from '../station.ts';
import { useStations } from '../stations.ts';
import { useStore } from '../ui/frame-store.ts';
import { ConnectionBanner } from './ConnectionBanner.tsx';
import { ConnectionPill } from './ConnectionPill.tsx';

export function PageHeader({ title, children }: { title: string; children?: ReactNode }) {
  const { broker } = useStation();
  const hasOthers = useStore(useStations()).length > 1;
  return (
    <>
      <title>{[title, ...(hasOthers ? [broker.name] : []), 'Wigwag'].join(' · ')}</title>
      <header className="grid grid-cols-[minmax(6rem,1fr)_minmax(0,auto)] items-center gap-x-4 gap-y-1 lg:grid-cols-[fit-content(60%)_minmax(0,1fr)_auto]">
        <h1 className="text-2xl font-semibold tracking-tight wrap-anywhere">{title}</h1>
        <div className="max-lg:order-last max-lg:col-span-2 max-lg:empty:hidden lg:pt-1.5">{children}</div>
        <div className="min-w-0 max-lg:self-start">
          <ConnectionPill />
        </div>
      </header>
      <ConnectionBanner />
    </>
  );
}
