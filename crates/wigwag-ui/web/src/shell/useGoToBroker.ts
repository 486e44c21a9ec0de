/** Shows another broker on the same screen: by an address, so that Back leads back and a bookmark leads here. */
import { useCallback } from 'react';
import { useLocation, useNavigate } from 'react-router';

import type { Broker } from '../config.ts';
import { useStations } from '../stations.ts';
import { sameScreen } from './links.ts';

export function useGoToBroker(): (broker: Broker) => void {
  const stations = useStations();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  return useCallback(
    (broker) => void navigate({ pathname: sameScreen(pathname), search: stations.searchFor(broker) }),
    [stations, navigate, pathname],
  );
}
