/** The frame around every page: navigation, the place for the page, and the voice for assistive technology. */
import { Suspense, useEffect } from 'react';
import { Link, Navigate, Route, Routes, useLocation } from 'react-router';

import { useStation } from '../station.ts';
import { useStore } from '../ui/frame-store.ts';
import { tabSearch } from './links.ts';
import { Navigation } from './Navigation.tsx';
import { Overlays } from './Overlays.tsx';
import { PageFrame } from './PageFrame.tsx';
import { PageHeader } from './PageHeader.tsx';
import { SCREENS } from './screens.tsx';
import { applyTheme, useSettings } from './settings.ts';
import { useKeys } from './useKeys.ts';

export function App() {
  const theme = useSettings((settings) => settings.theme);
  useEffect(() => {
    applyTheme(theme);
  }, [theme]);
  useKeys();
  return (
    <div className="flex min-h-dvh flex-col md:flex-row">
      <SkipLink />
      <Navigation />
      <main
        id="page"
        tabIndex={-1}
        className="flex min-w-0 grow flex-col gap-4 p-4 pb-[calc(var(--bottom-bar)+1rem)] outline-none md:px-6 md:py-5"
      >
        <Suspense fallback={<Opening />}>
          <Pages />
        </Suspense>
      </main>
      <Overlays />
      <Voice />
    </div>
  );
}

function Pages() {
  return (
    <Routes>
      <Route index element={<ToDevices />} />
      {SCREENS.map(({ path, pages }) =>
        pages.map(({ path: below, Page }) => {
          const whole = below === '' ? path : `${path}/${below}`;
          return (
            <Route
              key={below}
              path={whole}
              element={
                <PageFrame key={whole}>
                  <Page />
                </PageFrame>
              }
            />
          );
        }),
      )}
      <Route path="*" element={<NotFound />} />
    </Routes>
  );
}

/** For the keyboard: past the navigation, which is the same on every page. */
function SkipLink() {
  return (
    <a
      href="#page"
      onClick={(event) => {
        // Not the browser's way: <base> would make another page of the address.
        event.preventDefault();
        document.getElementById('page')?.focus();
      }}
      className="sr-only z-20 rounded-lg bg-solid px-4 py-2.5 text-on-solid focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
    >
      Skip to the page
    </a>
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
        <Link to={{ pathname: '/devices', search: tabSearch(search) }} className="text-accent underline">
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
