/** Loads, saves and deletes messages in collections, and takes them from and to files. */
import { useId, useState } from 'react';

import { Button } from '../../ui/Button.tsx';
import { saveAs } from '../../ui/download.ts';
import { SelectField } from '../../ui/SelectField.tsx';
import { TextField } from '../../ui/TextField.tsx';
import type { Draft } from './draft.ts';
import { FilePicker } from './FilePicker.tsx';
import { Fold } from './Fold.tsx';
import type { SavedMessage, Taken } from './saved-messages.ts';
import { exported, isNamed, keepable, NAME_CHARS_MAX, useSavedMessages } from './saved-messages.ts';

/** So many things that are wrong with a file are told one by one. */
const PROBLEMS_SHOWN = 3;
const IMPORT_BYTES_MAX = 4 * 1024 * 1024;

export function SavedMessages({ draft, onLoad }: { draft: Draft; onLoad: (draft: Draft) => void }) {
  const { messages, save, remove, take } = useSavedMessages();
  const [name, setName] = useState('');
  const [collection, setCollection] = useState('');
  const [told, setTold] = useState('');
  const listId = useId();
  const collections = [...new Set(messages.map((one) => one.collection))].filter((one) => one !== '');
  const known = messages.find((one) => isNamed(one, collection, name));
  const isCollection = collections.includes(collection);

  const keep = (): void => {
    const kept = keepable(draft);
    const problem = 'problem' in kept ? kept.problem : save({ collection, name, draft: kept });
    setTold(problem ?? `Kept ${name}.`);
  };
  const bringIn = async (file: File): Promise<void> => {
    setTold(
      file.size > IMPORT_BYTES_MAX
        ? 'The file is too large to be one of messages.'
        : report(take(await file.text())),
    );
  };
  return (
    <Fold title="Saved messages" count={messages.length}>
      <div className="flex flex-wrap items-end gap-2">
        {messages.length > 0 && (
          <SelectField
            label="Load"
            className="basis-full"
            value={known === undefined ? '' : keyOf(known)}
            options={[
              { value: '', name: 'Choose a message' },
              ...messages.map((one) => ({ value: keyOf(one), name: titleOf(one) })),
            ]}
            onChange={(key) => {
              const chosen = messages.find((one) => keyOf(one) === key);
              if (chosen === undefined) return;
              setName(chosen.name);
              setCollection(chosen.collection);
              setTold('');
              onLoad({ ...chosen.draft, file: undefined });
            }}
          />
        )}
        <TextField
          className="min-w-32 grow"
          label="Name"
          maxLength={NAME_CHARS_MAX}
          value={name}
          onChange={setName}
        />
        <TextField
          className="min-w-32 grow"
          label="Collection"
          placeholder="none"
          maxLength={NAME_CHARS_MAX}
          list={listId}
          value={collection}
          onChange={setCollection}
        />
        <datalist id={listId}>
          {collections.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
        <Button disabled={name.trim() === ''} onClick={keep}>
          {known === undefined ? 'Save' : 'Replace'}
        </Button>
        <Button
          icon="trash"
          disabled={known === undefined}
          onClick={() => {
            remove(collection, name);
            setTold(`Deleted ${name}.`);
            setName('');
          }}
        >
          Delete
        </Button>
        <Button
          icon="down"
          disabled={messages.length === 0}
          onClick={() => {
            const content = new Blob([exported(messages, isCollection ? collection : '')], {
              type: 'application/json',
            });
            saveAs(content, isCollection ? `messages-${collection}.json` : 'messages.json');
          }}
        >
          {isCollection ? 'Export this collection' : 'Export all'}
        </Button>
        <FilePicker accept=".json,application/json" onPick={(file) => void bringIn(file)}>
          Import
        </FilePicker>
        <p aria-live="polite" className="basis-full empty:hidden wrap-anywhere">
          {told}
        </p>
        <p className="basis-full text-xs text-ink-soft">
          Topic, payload and properties are kept in this browser as they are: nothing secret should be among
          them.
        </p>
      </div>
    </Fold>
  );
}

function report({ added, replaced, problems }: Taken): string {
  const parts = [`${added} added, ${replaced} replaced.`, ...problems.slice(0, PROBLEMS_SHOWN)];
  if (problems.length > PROBLEMS_SHOWN) parts.push(`${problems.length - PROBLEMS_SHOWN} more were left out.`);
  return parts.join(' ');
}

function titleOf({ collection, name }: SavedMessage): string {
  return collection === '' ? name : `${collection} / ${name}`;
}

function keyOf({ collection, name }: SavedMessage): string {
  return JSON.stringify([collection, name]);
}
