/** Commands to one device: all its controls, and where it answers any JSON in the user's own words, kept as templates. */
import type { KeyboardEvent } from 'react';
import { useId, useState } from 'react';

import { useStation } from '../../station.ts';
import { Button } from '../../ui/Button.tsx';
import { classNames } from '../../ui/class-names.ts';
import { useStore } from '../../ui/frame-store.ts';
import { TextField } from '../../ui/TextField.tsx';
import { CommandResult } from '../CommandResult.tsx';
import type { OnCommand } from '../Controls.tsx';
import { Controls } from '../Controls.tsx';
import type { Device } from '../model.ts';
import { useTemplates } from './templates.ts';
import { ValueControls } from './ValueControls.tsx';

const FIRST_TEXT = '{"action": "start"}';

export function CommandPanel({ device }: { device: Device }) {
  const station = useStation();
  const { commands, connection } = station;
  const command = useStore(commands).get(device.id);
  const isConnected = useStore(connection).status.phase === 'connected';
  const send: OnCommand = (to, control, value) => {
    commands.send(to, control, value);
  };
  const isFree = isConnected && command?.phase !== 'pending';
  return (
    <section
      aria-labelledby="commands-title"
      className="flex min-w-0 flex-col gap-4 rounded-card border border-line bg-surface p-4 shadow-card"
    >
      <header>
        <h2 id="commands-title" className="text-base font-semibold tracking-tight">
          Commands
        </h2>
        {device.commandTopic !== undefined && (
          <p className="font-mono text-xs text-ink-faint wrap-anywhere">{device.commandTopic}</p>
        )}
      </header>
      {device.controls.length === 0 && <p className="text-ink-soft">This device takes no commands.</p>}
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <Controls device={device} connected={isConnected} command={command} onCommand={send} />
        {command !== undefined && <CommandResult command={command} />}
      </div>
      <ValueControls device={device} isFree={isFree} onCommand={send} />
      {device.commandTopic !== undefined && <OwnCommand device={device} isFree={isFree} />}
    </section>
  );
}

/** Any JSON, for devices that answer. */
function OwnCommand({ device, isFree }: { device: Device; isFree: boolean }) {
  const { commands } = useStation();
  const [text, setText] = useState(FIRST_TEXT);
  const problem = problemOf(text);
  const canSend = isFree && problem === undefined;
  const send = (): void => {
    if (canSend) commands.sendCustom(device, text);
  };
  return (
    <>
      <JsonField text={text} problem={problem} onChange={setText} onSend={send} />
      <Button icon="up" className="self-start" disabled={!canSend} onClick={send}>
        Send this command
      </Button>
      <TemplateList text={text} problem={problem} onChoose={setText} />
    </>
  );
}

interface JsonFieldProps {
  text: string;
  problem: string | undefined;
  onChange: (text: string) => void;
  onSend: () => void;
}

function JsonField({ text, problem, onChange, onSend }: JsonFieldProps) {
  const id = useId();
  const handleKey = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    onSend();
  };
  return (
    <div className="flex flex-col gap-1.5">
      <label htmlFor={id} className="font-medium">
        A command of your own
      </label>
      <textarea
        id={id}
        rows={3}
        value={text}
        spellCheck={false}
        autoCapitalize="none"
        aria-invalid={problem !== undefined || undefined}
        aria-describedby={`${id}-note`}
        onChange={(event) => {
          onChange(event.target.value);
        }}
        onKeyDown={handleKey}
        className={classNames(
          'w-full min-w-0 rounded-lg border bg-surface px-3 py-2 font-mono text-base md:text-xs',
          problem === undefined ? 'border-line-strong' : 'border-bad',
        )}
      />
      <p
        id={`${id}-note`}
        className={classNames('text-xs wrap-anywhere', problem === undefined ? 'text-ink-soft' : 'text-bad')}
      >
        {problem ?? 'JSON, sent at QoS 1 with a response topic. Ctrl+Enter sends it.'}
      </p>
    </div>
  );
}

interface TemplateListProps {
  text: string;
  problem: string | undefined;
  onChoose: (text: string) => void;
}

function TemplateList({ text, problem, onChoose }: TemplateListProps) {
  const { templates, save, remove } = useTemplates();
  const [name, setName] = useState('');
  const [refusal, setRefusal] = useState<string>();
  return (
    <div className="flex flex-col gap-3 border-t border-line pt-3">
      <form
        className="flex flex-wrap items-end gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          const why = problem ?? save({ name: name.trim(), payload: text });
          setRefusal(why);
          if (why === undefined) setName('');
        }}
      >
        <TextField
          label="Keep it as a template"
          value={name}
          placeholder="Name"
          autoComplete="off"
          problem={refusal}
          onChange={(value) => {
            setName(value);
            setRefusal(undefined);
          }}
          className="grow"
        />
        <Button type="submit" disabled={name.trim() === ''}>
          Save
        </Button>
      </form>
      {templates.length > 0 && (
        <ul aria-label="Templates" className="flex max-h-60 flex-col overflow-y-auto">
          {templates.map((template) => (
            <li key={template.name} className="flex items-center gap-1">
              <Button
                look="ghost"
                className="min-w-0 grow !justify-start"
                onClick={() => {
                  onChoose(template.payload);
                }}
              >
                <span className="sr-only">Use </span>
                <span className="shrink-0">{template.name}</span>
                <span className="truncate font-mono text-xs font-normal text-ink-faint">
                  {template.payload}
                </span>
              </Button>
              <Button
                look="ghost"
                icon="trash"
                label={`Remove the template ${template.name}`}
                onClick={() => {
                  remove(template.name);
                }}
              >
                <span className="sr-only">Remove</span>
              </Button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function problemOf(text: string): string | undefined {
  if (text.trim() === '') return 'A command is not empty.';
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return `Not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}
