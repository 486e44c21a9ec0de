/** The fields of a message that is being written: payload, how it is sent, and its properties. */
import { useId, useState } from 'react';

import { Button } from '../../ui/Button.tsx';
import { classNames } from '../../ui/class-names.ts';
import { formatBytes } from '../../ui/format.ts';
import { SelectField } from '../../ui/SelectField.tsx';
import { TextField } from '../../ui/TextField.tsx';
import { visible } from '../../ui/visible.ts';
import type { Draft, Format, Problems } from './draft.ts';
import { FORMATS, readFile, USER_PROPERTIES_MAX } from './draft.ts';
import { FilePicker } from './FilePicker.tsx';
import { Fold } from './Fold.tsx';

type OnEdit = (change: Partial<Draft>) => void;

export function PayloadField({
  draft,
  problem,
  onEdit,
}: {
  draft: Draft;
  problem: string | undefined;
  onEdit: OnEdit;
}) {
  const id = useId();
  const [fileProblem, setFileProblem] = useState<string>();
  const formats = Object.entries(FORMATS) as [Format, string][];
  const pick = async (file: File): Promise<void> => {
    const read = await readFile(file);
    const isRead = !('problem' in read);
    setFileProblem(isRead ? undefined : read.problem);
    if (isRead) onEdit({ file: read });
  };
  const said = problem ?? fileProblem;
  return (
    <div className="flex min-w-0 flex-col gap-1.5">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <label htmlFor={id} className="font-medium">
          Payload
        </label>
        <span className="flex flex-wrap items-center gap-2">
          {draft.file === undefined && (
            <SelectField
              isInline
              label="written as"
              value={draft.format}
              options={formats.map(([value, name]) => ({ value, name }))}
              onChange={(format) => {
                onEdit({ format });
              }}
            />
          )}
          <FilePicker onPick={(file) => void pick(file)}>From a file</FilePicker>
        </span>
      </div>
      {draft.file === undefined ? (
        <textarea
          id={id}
          rows={5}
          value={draft.payload}
          spellCheck={false}
          aria-invalid={said !== undefined || undefined}
          aria-describedby={said === undefined ? undefined : `${id}-problem`}
          onChange={(event) => {
            onEdit({ payload: event.target.value });
          }}
          className={classNames(
            'min-h-24 w-full min-w-0 rounded-lg border bg-surface p-3 font-mono text-base md:text-xs',
            said === undefined ? 'border-line-strong' : 'border-bad',
          )}
        />
      ) : (
        <div className="flex flex-wrap items-center gap-2 rounded-lg border border-line bg-sunken px-3 py-2">
          <output id={id} className="nums min-w-0 grow wrap-anywhere">
            {visible(draft.file.name)}, {formatBytes(draft.file.bytes.length)}
          </output>
          <Button
            look="ghost"
            icon="close"
            onClick={() => {
              onEdit({ file: undefined });
            }}
          >
            Write it instead
          </Button>
        </div>
      )}
      {said !== undefined && (
        <p id={`${id}-problem`} role="alert" className="text-bad wrap-anywhere">
          {said}
        </p>
      )}
    </div>
  );
}

export function SendingFields({ draft, onEdit }: { draft: Draft; onEdit: OnEdit }) {
  return (
    <div className="flex flex-wrap items-center gap-x-6 gap-y-2">
      <SelectField
        isInline
        label="QoS"
        value={String(draft.qos)}
        options={[
          { value: '0', name: '0, at most once' },
          { value: '1', name: '1, at least once' },
          { value: '2', name: '2, exactly once' },
        ]}
        onChange={(qos) => {
          onEdit({ qos: Number(qos) as Draft['qos'] });
        }}
      />
      <Tick
        label="Retain"
        isOn={draft.retain}
        onChange={(retain) => {
          onEdit({ retain });
        }}
      />
    </div>
  );
}

interface PropertiesProps {
  draft: Draft;
  problems: Problems;
  onEdit: OnEdit;
}

export function PropertyFields({ draft, problems, onEdit }: PropertiesProps) {
  const count = propertyCount(draft);
  const isWrong = ['contentType', 'responseTopic', 'correlation', 'expiry', 'userProperties'].some(
    (name) => name in problems,
  );
  return (
    <Fold title="Properties" count={count} isOpen={isWrong || undefined}>
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Content Type"
          placeholder="application/json"
          value={draft.contentType}
          problem={problems.contentType}
          onChange={(contentType) => {
            onEdit({ contentType });
          }}
        />
        <TextField
          label="Message Expiry, seconds"
          inputMode="numeric"
          value={draft.expiry}
          problem={problems.expiry}
          onChange={(expiry) => {
            onEdit({ expiry });
          }}
        />
        <TextField
          label="Response Topic"
          isMono
          value={draft.responseTopic}
          problem={problems.responseTopic}
          onChange={(responseTopic) => {
            onEdit({ responseTopic });
          }}
        />
        <TextField
          label="Correlation Data"
          isMono
          hint="Text, or bytes as 0x0aff"
          value={draft.correlation}
          problem={problems.correlation}
          onChange={(correlation) => {
            onEdit({ correlation });
          }}
        />
        <Tick
          label="Payload Format Indicator: UTF-8"
          isOn={draft.isUtf8}
          onChange={(isUtf8) => {
            onEdit({ isUtf8 });
          }}
        />
        <UserProperties draft={draft} problem={problems.userProperties} onEdit={onEdit} />
      </div>
    </Fold>
  );
}

function UserProperties({
  draft,
  problem,
  onEdit,
}: {
  draft: Draft;
  problem: string | undefined;
  onEdit: OnEdit;
}) {
  const { userProperties } = draft;
  const change = (index: number, part: { name?: string; value?: string }): void => {
    onEdit({ userProperties: userProperties.map((one, at) => (at === index ? { ...one, ...part } : one)) });
  };
  return (
    <fieldset className="flex min-w-0 flex-col gap-2 sm:col-span-2">
      <legend className="pb-1.5 font-medium">User Properties</legend>
      {userProperties.map(({ name, value }, index) => (
        <div key={index} className="flex items-end gap-2">
          <TextField
            className="grow"
            label={`Name ${index + 1}`}
            value={name}
            onChange={(changed) => {
              change(index, { name: changed });
            }}
          />
          <TextField
            className="grow"
            label={`Value ${index + 1}`}
            value={value}
            onChange={(changed) => {
              change(index, { value: changed });
            }}
          />
          <Button
            look="ghost"
            icon="close"
            label={`Remove user property ${index + 1}`}
            onClick={() => {
              onEdit({ userProperties: userProperties.filter((_, at) => at !== index) });
            }}
          >
            <span className="max-sm:hidden">Remove</span>
          </Button>
        </div>
      ))}
      {problem !== undefined && <p className="text-bad">{problem}</p>}
      <Button
        className="self-start"
        disabled={userProperties.length >= USER_PROPERTIES_MAX}
        onClick={() => {
          onEdit({ userProperties: [...userProperties, { name: '', value: '' }] });
        }}
      >
        Add a user property
      </Button>
    </fieldset>
  );
}

function Tick({
  label,
  isOn,
  onChange,
}: {
  label: string;
  isOn: boolean;
  onChange: (isOn: boolean) => void;
}) {
  return (
    <label className="flex min-h-11 items-center gap-2 md:min-h-9">
      <input
        type="checkbox"
        checked={isOn}
        onChange={(event) => {
          onChange(event.target.checked);
        }}
        className="size-4.5 accent-current"
      />
      {label}
    </label>
  );
}

function propertyCount(draft: Draft): number {
  const { contentType, responseTopic, correlation, expiry, isUtf8, userProperties } = draft;
  const single = [contentType, responseTopic, correlation, expiry].filter((text) => text !== '').length;
  return single + (isUtf8 ? 1 : 0) + userProperties.length;
}
