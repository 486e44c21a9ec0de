/**
 * The screens: a rail at the left, or a bar at the bottom of small screens, where thumbs are. The bar has room for the
 * first few; Find has them all.
 */
import { Link, NavLink, useLocation } from 'react-router';

import { classNames } from '../ui/class-names.ts';
import type { IconName } from '../ui/icons.tsx';
import { Icon } from '../ui/icons.tsx';
import { useVersion } from '../version.ts';
import { tabSearch } from './links.ts';
import { useOverlay } from './overlay.ts';
import type { Screen } from './screens.tsx';
import { SCREENS } from './screens.tsx';
import { ThemeToggle } from './ThemeToggle.tsx';
import { COMMAND_KEY } from './useKeys.ts';

/** With Find, one more than this is beside each other at 390 px. */
const IN_BAR_MAX = 4;

const ITEM =
  'flex min-h-14 min-w-0 flex-1 flex-col items-center justify-center gap-1 rounded-xl px-1 text-xs font-medium md:w-full md:flex-none md:py-2.5';

export function Navigation() {
  const search = tabSearch(useLocation().search);
  const version = useVersion();
  return (
    <div className="fixed inset-x-0 bottom-0 z-10 flex h-(--bottom-bar) items-center border-t border-line bg-surface px-1 md:sticky md:top-0 md:bottom-auto md:h-dvh md:w-22 md:shrink-0 md:flex-col md:gap-4 md:overflow-y-auto md:border-t-0 md:border-r md:px-2 md:py-5">
      <Link
        to={{ pathname: '/', search }}
        aria-label="Wigwag"
        title={version === undefined ? 'Wigwag' : `Wigwag ${version}`}
        className="grid size-11 shrink-0 place-items-center rounded-xl max-md:hidden"
      >
        <Flag />
      </Link>
      <nav aria-label="Pages" className="flex min-w-0 grow md:w-full md:flex-col">
        {SCREENS.map((screen, index) => (
          <NavigationItem key={screen.path} screen={screen} search={search} isInBar={index < IN_BAR_MAX} />
        ))}
      </nav>
      <div className="flex w-1/5 flex-col items-center md:w-full">
        <Tool overlay="palette" icon="search" name="Find" title={`Find (${COMMAND_KEY} K)`} />
        <Tool overlay="keys" icon="keyboard" name="Keys" title="Keys (?)" className="max-md:hidden" />
      </div>
      <div className="max-md:hidden">
        <ThemeToggle />
      </div>
    </div>
  );
}

function NavigationItem({ screen, search, isInBar }: { screen: Screen; search: string; isInBar: boolean }) {
  const { path, name, icon } = screen;
  return (
    <NavLink
      to={{ pathname: `/${path}`, search }}
      className={({ isActive }) =>
        classNames(
          ITEM,
          isActive ? 'bg-sunken text-ink' : 'text-ink-soft hover:text-ink',
          !isInBar && 'max-md:hidden',
        )
      }
    >
      <Icon name={icon} className="size-5" />
      {name}
    </NavLink>
  );
}

interface ToolProps {
  overlay: 'palette' | 'keys';
  icon: IconName;
  name: string;
  title: string;
  className?: string;
}

function Tool({ overlay, icon, name, title, className }: ToolProps) {
  const show = useOverlay((state) => state.show);
  return (
    <button
      type="button"
      title={title}
      aria-haspopup="dialog"
      onClick={() => {
        show(overlay);
      }}
      className={classNames(ITEM, 'w-full text-ink-soft hover:text-ink', className)}
    >
      <Icon name={icon} className="size-5" />
      {name}
    </button>
  );
}

/** The wigwag flag: one square in another. */
function Flag() {
  return (
    <svg aria-hidden="true" viewBox="0 0 32 32" className="size-8">
      <rect width="32" height="32" rx="7" className="fill-flag" />
      <rect x="10.5" y="10.5" width="11" height="11" rx="1.5" fill="#fff" />
    </svg>
  );
}
