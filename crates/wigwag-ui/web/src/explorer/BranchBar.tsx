/** What can be done with the branch under the cursor, or with the whole tree: copy as a line, export, clear. */
import { useState } from 'react';

import { placeOf } from '../config.ts';
import { useStation } from '../station.ts';
import { Button } from '../ui/Button.tsx';
import { CopyLine } from '../ui/CopyLine.tsx';
import { useStore } from '../ui/frame-store.ts';
import type { Explorer } from './explorer.ts';
import { subscribeCommands } from './commands.ts';
import type { ExportFormat } from './protocol.ts';
import { saveFile } from './save-file.ts';
import { visible } from '../ui/visible.ts';

interface Props {
  explorer: Explorer;
  path: string | undefined;
  /** There is a recording, and there can be only one. */
  isRecording: boolean;
  onRecord: (path: string) => void;
  onClear: (path: string) => void;
}

export function BranchBar({ explorer, path, isRecording, onRecord, onClear }: Props) {
  const { announcer } = useStation();
  const [hasLine, setHasLine] = useState(false);
  const save = async (format: ExportFormat): Promise<void> => {
    const { text, topics } = await explorer.export(path, format);
    saveFile(text, `topics.${format}`, format === 'json' ? 'application/json' : 'text/csv');
    announcer.say(`${topics} topics exported`);
  };
  return (
    <div role="group" aria-label="Branch" className="flex flex-col gap-1 border-t border-line p-2">
      <div className="flex flex-wrap items-center gap-x-1">
        <span className="min-w-0 grow basis-28 truncate px-2 font-mono text-xs text-ink-soft" title={path}>
          {path === undefined ? 'The whole tree' : visible(path)}
        </span>
        <Button
          look="ghost"
          pressed={hasLine}
          disabled={path === undefined}
          onClick={() => {
            setHasLine(!hasLine);
          }}
        >
          Command
        </Button>
        <Button
          look="ghost"
          icon="down"
          label="Export as JSON"
          onClick={() => {
            void save('json');
          }}
        >
          JSON
        </Button>
        <Button
          look="ghost"
          icon="down"
          label="Export as CSV"
          onClick={() => {
            void save('csv');
          }}
        >
          CSV
        </Button>
        <Button
          look="ghost"
          icon="record"
          label="Record this branch"
          disabled={path === undefined || isRecording}
          onClick={() => {
            if (path !== undefined) onRecord(path);
          }}
        >
          Record
        </Button>
        <Button
          look="ghost"
          icon="trash"
          disabled={path === undefined}
          onClick={() => {
            if (path !== undefined) onClear(path);
          }}
        >
          Clear retained
        </Button>
      </div>
      {hasLine && path !== undefined && <Commands path={path} />}
    </div>
  );
}

function Commands({ path }: { path: string }) {
  const { broker, connection } = useStation();
  const { userName } = useStore(connection);
  return (
    <ul className="flex max-h-60 flex-col gap-2 overflow-y-auto">
      {subscribeCommands(placeOf(broker), userName, `${path}/#`).map(({ name, line, note }) => (
        <li key={name} className="flex flex-col gap-1">
          <CopyLine key={line} label={`Copy the line of ${name}`} text={line} />
          {note !== undefined && <p className="px-2 text-xs text-ink-soft">{note}</p>}
        </li>
      ))}
    </ul>
  );
}
