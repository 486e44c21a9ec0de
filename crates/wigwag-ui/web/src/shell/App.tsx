/** The frame around every page: navigation, the place for the page, and the voice for assistive technology. */
import { Suspense, useEffect } from 'react';
import { Link, Navigate, NavLink, Route, Routes, useLocation } from 'react-router';

import { useStation } from '../station.ts';
import { classNames } from '../ui/class-names.ts';
import { useStore } from '../ui/frame-store.ts';
import { Icon } from '../ui/icons.tsx';
import { tabSearch } from './links.ts';
import { Overlays } from './Overlays.tsx';
import { PageHeader } from './PageHeader.tsx';
import { SCREENS } from './screens.tsx';
import { applyTheme, useSettings } from './settings.ts';
import { ThemeToggle } from './ThemeToggle.tsx';

export function App() {
  const theme = useSettings((settings) => settings.theme);
  useEffect(() => {
    applyTheme(theme);
  }, [theme]);
  return (
    <div className="flex min-h-dvh flex-col md:flex-row">
      <Rail />
      <main className="flex min-w-0 grow flex-col gap-4 p-4 md:px-6 md:py-5">
        <Suspense fallback={<Opening />}>
          <Routes>
            <Route index element={<ToDevices />} />
            {SCREENS.map(({ path, pages }) =>
              pages.map(({ path: below, Page }) => (
                <Route key={below} path={below === '' ? path : `${path}/${below}`} element={<Page />} />
              )),
            )}
            <Route path="*" element={<NotFound />} />
          </Routes>
        </Suspense>
      </main>
      <Overlays />
      <Voice />
    </div>
  );
}

function Rail() {
  const search = tabSearch(useLocation().search);
  const { version } = useStation();
  return (
    <div className="flex items-center gap-2 border-b border-line bg-surface px-4 py-2 md:sticky md:top-0 md:h-dvh md:w-22 md:flex-col md:border-r md:border-b-0 md:px-2 md:py-5">
      <Link
        to={{ pathname: '/', search }}
        aria-label="Wigwag"
        title={version === undefined ? 'Wigwag' : `Wigwag ${version}`}
        className="grid size-11 place-items-center rounded-xl"
      >
        <Flag />
      </Link>
      <nav aria-label="Pages" className="flex grow md:mt-4 md:w-full md:flex-col">
        {SCREENS.map(({ path, name, icon }) => (
          <NavLink
            key={path}
            to={{ pathname: `/${path}`, search }}
            className={({ isActive }) =>
              classNames(
                'flex min-h-11 items-center gap-2 rounded-xl px-3 font-medium md:flex-col md:gap-1 md:px-1 md:py-2.5 md:text-xs',
                isActive ? 'bg-sunken text-ink' : 'text-ink-soft hover:text-ink',
              )
            }
          >
            <Icon name={icon} className="md:size-5" />
            {name}
          </NavLink>
        ))}
      </nav>
      <ThemeToggle />
    </div>
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

function ToDevices() {
  const search = tabSearch(useLocation().search);
  return <Navigate to={{ pathname: '/devices', search }} replace />;
}

/** The first time a screen is opened, while its code is on the way. */
function Opening() {
  return <p className="text-ink-soft">Opening…</p>;
}

function NotFound() {
  const { pathname, search } = useLocation();
  return (
    <>
      <PageHeader title="Page not found" />
      <p className="text-ink-soft">
        There is no page at <code className="font-mono text-xs wrap-anywhere">{pathname}</code>.{' '}
        <Link to={{ pathname: '/devices', search }} className="text-accent underline">
          Go to the devices
        </Link>
      </p>
    </>
  );
}

function Voice() {
  const text = useStore(useStation().announcer);
  return (
    <div role="status" aria-live="polite" className="sr-only">
      {text}
    </div>
  );
}
