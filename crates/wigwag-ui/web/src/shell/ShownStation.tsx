/**
 * Chooses by the page's address which station is shown. Nothing of what is drawn of one is taken for another's, and where
 * somebody else's has taken the place of one, neither is what the address says of its devices and topics.
 */
import type { ReactNode } from 'react';
import { useEffect, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';

import type { Station } from '../station.ts';
import { StationProvider } from '../station.ts';
import { useStations } from '../stations.ts';
import { useStore } from '../ui/frame-store.ts';
import { sameScreen } from './links.ts';

export function ShownStation({ children }: { children: ReactNode }) {
  const { search, key } = useLocation();
  const stations = useStations();
  // Which station it is may change without the address.
  useStore(stations);
  const station = stations.at(new URLSearchParams(search).get('broker'));
  const [last, setLast] = useState({ station, key });
  const isAnothers = key === last.key && station !== last.station && station?.broker === last.station?.broker;
  if (!isAnothers && (station !== last.station || key !== last.key)) setLast({ station, key });
  if (station === undefined) return null;
  if (isAnothers) return <Clear station={station} />;
  return (
    <StationProvider key={station.clientId} value={station}>
      {children}
    </StationProvider>
  );
}

/** Leaves the screen and the broker in the address, and nothing else. */
function Clear({ station }: { station: Station }) {
  const stations = useStations();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  useEffect(() => {
    const search = stations.searchFor(station.broker);
    void navigate({ pathname: sameScreen(pathname), search }, { replace: true });
  }, [stations, station, navigate, pathname]);
  return null;
}
