/** The recordings of the broker for the devices whose pages were opened, as long as their records are kept. */
import { useEffect } from 'react';

import { askerOf } from '../../session.ts';
import type { Station } from '../../station.ts';
import { useStoreValue } from '../../ui/frame-store.ts';
import type { Device } from '../model.ts';
import { filtersOf } from '../model.ts';
import type { DeviceRecord } from './device-record.ts';
import { Past } from './past.ts';
import { pagesOf } from './recording.ts';
import type { Window } from './series.ts';

const pasts = new WeakMap<DeviceRecord, { past: Past; topics: string }>();

/** Nothing with a broker that has no interface of its own. Another one when the device turns out to have more topics. */
export function pastOf(station: Station, device: Device, record: DeviceRecord): Past | undefined {
  const ask = askerOf(station);
  if (ask === undefined) return undefined;
  const topics = recordedTopics(device);
  // As one text, which is the same as long as it says the same.
  const asText = topics.join('\n');
  const known = pasts.get(record);
  if (known?.topics === asText) return known.past;
  const { id, source } = device;
  const past = new Past({
    topics,
    record,
    readPage: pagesOf(ask),
    numbersIn: (message) => {
      const now = station.devices.device(id);
      // Looked up each time: a source may be given up for another of its kind.
      const reader = station.sources.find(({ kind }) => kind === source);
      return now === undefined || reader === undefined ? [] : reader.numbersIn(now, message);
    },
  });
  pasts.set(record, { past, topics: asText });
  return past;
}

/** Has the past read for as long as somebody looks at this span of it. */
export function useReading(
  past: Past | undefined,
  station: Station,
  record: DeviceRecord,
  reach: Window,
): void {
  const connectedSince = useStoreValue(station.connection, ({ status }) =>
    status.phase === 'connected' ? status.since : undefined,
  );
  const { from, to } = reach;
  useEffect(() => {
    if (connectedSince === undefined) return;
    past?.look({ from, to }, Math.max(connectedSince, record.since));
  }, [past, record, connectedSince, from, to]);
  useEffect(() => {
    if (connectedSince !== undefined) past?.tryAgain();
    return () => past?.stop();
  }, [past, connectedSince]);
}

/** Those with values first: the others are for the messages. Recordings are asked for by topic, not by filter. */
function recordedTopics(device: Device): string[] {
  const filters = [...filtersOf(device, 'state'), ...filtersOf(device, 'availability', 'command')];
  return [...new Set(filters)].filter((filter) => !/[+#]/.test(filter));
}
