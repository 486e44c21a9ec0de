/** Title of a page, what it sums up, and the state of the connection, which every page shows at the same place. */
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
      <header className="flex flex-wrap items-center gap-x-4 gap-y-1">
        <h1 className="text-2xl font-semibold tracking-tight">{title}</h1>
        <div className="grow max-sm:order-last max-sm:basis-full sm:pt-1.5">{children}</div>
        <div className="ml-auto min-w-0">
          <ConnectionPill />
        </div>
      </header>
      <ConnectionBanner />
    </>
  );
}
