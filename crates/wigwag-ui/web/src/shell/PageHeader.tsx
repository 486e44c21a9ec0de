/** Title of a page, what it sums up, and the state of the connection, which every page shows at the same place. */
import type { ReactNode } from 'react';

import { ConnectionBanner } from './ConnectionBanner.tsx';
import { ConnectionPill } from './ConnectionPill.tsx';

export function PageHeader({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <>
      <header className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <div className="flex flex-wrap items-baseline gap-x-4">
          <h1 className="text-2xl font-semibold tracking-tight">{title}</h1>
          {children}
        </div>
        <ConnectionPill />
      </header>
      <ConnectionBanner />
    </>
  );
}
