/** Says since when the charts know the device: in this tab, and from the broker's recordings if there are any. */
import { Button } from '../../ui/Button.tsx';
import { formatCount, formatTime } from '../../ui/format.ts';
import { useStore } from '../../ui/frame-store.ts';
import type { DeviceRecord } from './device-record.ts';
import type { Past, PastView } from './past.ts';
import { POINTS_MAX } from './series.ts';

interface Props {
  past: Past | undefined;
  record: DeviceRecord;
  now: number;
}

export function PastNote({ past, record, now }: Props) {
  return (
    <>
      Heard in this tab since {formatTime(record.since, now)}, at most {formatCount(POINTS_MAX)} values per
      field. {past !== undefined && <Recorded past={past} now={now} />}
    </>
  );
}

function Recorded({ past, now }: { past: Past; now: number }) {
  const view = useStore(past);
  return (
    <>
      <span data-past={view.phase}>{textOf(view, now)}</span>
      {view.beyond > 0 && ` ${formatCount(view.beyond)} more topics of this device are not read.`}
      {view.phase === 'failed' && (
        <Button
          look="ghost"
          icon="retry"
          onClick={() => {
            past.tryAgain();
          }}
        >
          Try again
        </Button>
      )}
    </>
  );
}

function textOf({ phase, reason, recordedSince, isRecorded, isCut }: PastView, now: number): string {
  switch (phase) {
    case 'reading':
      return 'Reading what the broker has recorded…';
    case 'failed':
      return `What the broker has recorded cannot be read: ${reason ?? ''}.`;
    case 'refused':
      return `There are no recordings: ${reason ?? ''}.`;
    case 'idle':
      if (!isRecorded) return 'The broker does not record the topics of this device.';
      if (recordedSince === undefined) return '';
      return `Recorded by the broker since ${formatTime(recordedSince, now)}${isCut ? ', of which the latest are here' : ''}.`;
  }
}
