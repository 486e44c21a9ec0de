/** A link to the page of a device, which stays with the broker of this tab. */
import type { ReactNode } from 'react';
import { Link, useLocation } from 'react-router';

import { devicePath, tabSearch } from '../shell/links.ts';

export function DeviceLink({ id, children }: { id: string; children: ReactNode }) {
  const { search } = useLocation();
  return (
    <Link
      to={{ pathname: devicePath(id), search: tabSearch(search) }}
      className="underline-offset-4 hover:underline"
    >
      {children}
    </Link>
  );
}
