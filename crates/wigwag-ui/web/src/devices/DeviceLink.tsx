/** A link to the page of a device, which stays with the broker of this tab. */
import type { ReactNode } from 'react';
import { Link, useLocation } from 'react-router';

import { devicePath, tabSearch } from '../shell/links.ts';
import { classNames } from '../ui/class-names.ts';

interface Props {
  id: string;
  children: ReactNode;
  className?: string;
}

export function DeviceLink({ id, children, className }: Props) {
  const { search } = useLocation();
  return (
    <Link
      to={{ pathname: devicePath(id), search: tabSearch(search) }}
      className={classNames('underline-offset-4 hover:underline', className)}
    >
      {children}
    </Link>
  );
}
