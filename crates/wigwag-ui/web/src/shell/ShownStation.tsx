/** Chooses by the page's address which station is shown. Nothing of what is drawn of one is taken for another's. */
import type { ReactNode } from 'react';
import { useLocation } from 'react-router';

import { StationProvider } from '../station.ts';
import { useStations } from '../stations.ts';

export function ShownStation({ children }: { children: ReactNode }) {
  const wanted = new URLSearchParams(useLocation().search).get('broker');
  const station = useStations().at(wanted);
  if (station === undefined) return null;
  return (
    <StationProvider key={station.broker.name} value={station}>
      {children}
    </StationProvider>
  );
}
