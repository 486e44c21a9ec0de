/** What became of a command at each device, all of them or those of one kind, and the same as a file. */
import { useMemo, useState } from 'react';

import { Button } from '../../ui/Button.tsx';
import { Dialog } from '../../ui/Dialog.tsx';
import { saveAs } from '../../ui/download.ts';
import { formatCount } from '../../ui/format.ts';
import { SelectField } from '../../ui/SelectField.tsx';
import type { Result, ResultKind, RunView } from './bulk-store.ts';
import { RESULT_KINDS } from './bulk-store.ts';
import { resultsCsv } from './results-csv.ts';
import { Rows } from './Rows.tsx';
import { MEANINGS, WORDS } from './words.ts';

export function ResultsDialog({ run, onClose }: { run: RunView; onClose: () => void }) {
  const [kind, setKind] = useState<ResultKind | 'all'>('all');
  const { steps, results, counts, unable } = run;
  const shown = useMemo(() => {
    const all = steps.map((step, index) => ({
      step,
      result: results[index] ?? { kind: 'waiting' as const },
    }));
    return kind === 'all' ? all : all.filter(({ result }) => result.kind === kind);
  }, [steps, results, kind]);
  const options = RESULT_KINDS.filter((one) => one === kind || (counts.get(one) ?? 0) > 0);
  return (
    <Dialog title={`Results: ${run.name}`} onClose={onClose} className="sm:w-180">
      <div className="flex flex-col gap-4 p-5">
        <div className="flex flex-wrap items-end gap-3">
          <SelectField
            label="Show"
            value={kind}
            options={[
              { value: 'all', name: `all (${formatCount(steps.length)})` },
              ...options.map((one) => ({
                value: one,
                name: `${WORDS[one]} (${formatCount(counts.get(one) ?? 0)})`,
              })),
            ]}
            onChange={setKind}
          />
          <p className="min-w-0 grow basis-48 text-ink-soft">{kind === 'all' ? '' : MEANINGS[kind]}</p>
          <Button
            onClick={() => {
              const at = new Date(run.startedAt).toISOString().slice(0, 19);
              saveAs(new Blob([resultsCsv(run)], { type: 'text/csv' }), `${run.name} ${at}.csv`);
            }}
          >
            CSV
          </Button>
        </div>
        <Rows
          label="Devices and results"
          count={shown.length}
          row={(index) => {
            const one = shown[index];
            return one === undefined ? undefined : [one.step.title, told(one.result)];
          }}
        />
        {unable.length > 0 && (
          <>
            <p className="nums font-medium">{formatCount(unable.length)} got nothing</p>
            <Rows
              label="Devices that got nothing"
              count={unable.length}
              row={(index) => {
                const one = unable[index];
                return one === undefined ? undefined : [one.title, one.why];
              }}
            />
          </>
        )}
      </div>
    </Dialog>
  );
}

function told({ kind, error, tookMs }: Result): string {
  if (error !== undefined) return `${WORDS[kind]}: ${error.slice(0, 200)}`;
  return tookMs === undefined ? WORDS[kind] : `${WORDS[kind]} · ${formatCount(tookMs)} ms`;
}
