/**
 * The part of the address behind the question mark, and how to change it. A change begins with the address as it is by
 * now: the router draws it when there is time, and who began with what is drawn would undo what was changed since.
 */
import { useCallback, useContext } from 'react';
import type { Location } from 'react-router';
import { UNSAFE_NavigationContext as NavigationContext, useLocation, useSearchParams } from 'react-router';

import { sameScreen } from './links.ts';

export type ChangeSearch = (change: (search: URLSearchParams) => URLSearchParams) => void;

export function useSearch(): readonly [search: URLSearchParams, change: ChangeSearch] {
  const [search] = useSearchParams();
  const { basename, navigator } = useContext(NavigationContext);
  const screen = sameScreen(useLocation().pathname);
  const change = useCallback<ChangeSearch>(
    (change) => {
      // Every router of a browser or of a test has it, and no hook tells it.
      const { location } = navigator as typeof navigator & { location: Location };
      const { pathname, hash } = location;
      const path = pathname.slice(basename.endsWith('/') ? basename.length - 1 : basename.length);
      // Another screen is on its way, and what this one has to say is not about it.
      if (sameScreen(path) !== screen) return;
      const before = new URLSearchParams(location.search);
      const after = change(new URLSearchParams(before)).toString();
      if (after === before.toString()) return;
      const search = after === '' ? '' : `?${after}`;
      navigator.replace({ pathname, search, hash }, location.state);
    },
    [basename, navigator, screen],
  );
  return [search, change];
}
