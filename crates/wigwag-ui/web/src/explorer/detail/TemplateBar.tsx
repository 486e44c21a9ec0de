/** Loads, saves and deletes templates. */
import { useState } from 'react';

import { Button } from '../../ui/Button.tsx';
import { SelectField } from '../../ui/SelectField.tsx';
import { TextField } from '../../ui/TextField.tsx';
import type { Draft } from './draft.ts';
import { Fold } from './Fold.tsx';
import { TEMPLATES_MAX, useTemplates } from './templates.ts';

export function TemplateBar({ draft, onLoad }: { draft: Draft; onLoad: (draft: Draft) => void }) {
  const { templates, save, remove } = useTemplates();
  const [name, setName] = useState('');
  const isKnown = templates.some((template) => template.name === name);
  return (
    <Fold title="Templates" count={templates.length}>
      <div className="flex flex-wrap items-end gap-2">
        {templates.length > 0 && (
          <SelectField
            label="Load"
            value={isKnown ? name : ''}
            options={[
              { value: '', name: 'Choose a template' },
              ...templates.map((template) => ({ value: template.name, name: template.name })),
            ]}
            onChange={(chosen) => {
              const template = templates.find((one) => one.name === chosen);
              setName(chosen);
              if (template !== undefined) onLoad(template.draft);
            }}
          />
        )}
        <TextField className="min-w-32 grow" label="Name" maxLength={80} value={name} onChange={setName} />
        <Button
          disabled={name.trim() === '' || (!isKnown && templates.length >= TEMPLATES_MAX)}
          onClick={() => {
            save(name, draft);
          }}
        >
          {isKnown ? 'Replace' : 'Save'}
        </Button>
        <Button
          icon="trash"
          disabled={!isKnown}
          onClick={() => {
            remove(name);
            setName('');
          }}
        >
          Delete
        </Button>
        <p className="basis-full text-xs text-ink-soft">
          Topic, payload and properties are kept in this browser as they are: nothing secret should be among
          them.
        </p>
      </div>
    </Fold>
  );
}
