/** Starts the page: configuration, connection, then React. */
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { BrowserRouter } from 'react-router';

import './app.css';
import { loadConfig } from './config.ts';
import { openWorker } from './mqtt/connection.ts';
import { App } from './shell/App.tsx';
import { Station, StationProvider } from './station.ts';
import { VersionProvider } from './version.ts';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

// The server writes <base> as seen from the page that was asked for. Pinned before the first navigation, which would
// change what a relative one means, it stays true: for addresses such as `new URL('metrics', document.baseURI)` too.
const base = new URL('.', document.baseURI);
document.querySelector('base')?.setAttribute('href', base.href);
// The prefix under which a proxy may have put us.
const basename = base.pathname;
const { chosen, version } = await loadConfig({ base: base.href, search: window.location.search });
const station = new Station(openWorker(), chosen);

createRoot(root).render(
  <StrictMode>
    <VersionProvider value={version}>
      <StationProvider value={station}>
        <BrowserRouter basename={basename}>
          <App />
        </BrowserRouter>
      </StationProvider>
    </VersionProvider>
  </StrictMode>,
);
