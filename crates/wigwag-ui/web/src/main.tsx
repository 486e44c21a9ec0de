/** Starts the page: configuration, connection, then React. */
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { BrowserRouter } from 'react-router';

import './app.css';
import { loadConfig } from './config.ts';
import { homeAssistantBelow, SPARKPLUG } from './devices/sources/further.ts';
import { followPrefix } from './devices/sources/home-assistant/prefixes.ts';
import { openWorker } from './mqtt/connection.ts';
import { App } from './shell/App.tsx';
import { useKeptBrokers } from './shell/kept-brokers.ts';
import { ShownStation } from './shell/ShownStation.tsx';
import { Stations, StationsProvider } from './stations.ts';
import { VersionProvider } from './version.ts';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

// The server writes <base> as seen from the page that was asked for. Pinned before the first navigation, which would
// change what a relative one means, it stays true: for addresses such as `new URL('metrics', document.baseURI)` too.
const base = new URL('.', document.baseURI);
document.querySelector('base')?.setAttribute('href', base.href);
// The prefix under which a proxy may have put us.
const basename = base.pathname;
const { brokers, version } = await loadConfig(base.href);
const stations = new Stations(openWorker, brokers, (station) => {
  followPrefix(station, homeAssistantBelow);
  station.listenTo(SPARKPLUG);
});
stations.keep(useKeptBrokers.getState().kept);
useKeptBrokers.subscribe(({ kept }) => {
  stations.keep(kept);
});

createRoot(root).render(
  <StrictMode>
    <VersionProvider value={version}>
      <StationsProvider value={stations}>
        <BrowserRouter basename={basename}>
          <ShownStation>
            <App />
          </ShownStation>
        </BrowserRouter>
      </StationsProvider>
    </VersionProvider>
  </StrictMode>,
);
