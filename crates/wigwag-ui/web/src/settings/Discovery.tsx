/** Below which prefix the devices for Home Assistant are looked for with the broker that is shown. */
import type { SubmitEvent } from 'react';
import { useState } from 'react';

import { PREFIX_DEFAULT, whyNotPrefix } from '../devices/sources/home-assistant/config-topics.ts';
import { prefixOf, usePrefixes } from '../devices/sources/home-assistant/prefixes.ts';
import { useStation } from '../station.ts';
import { Button } from '../ui/Button.tsx';
import { TextField } from '../ui/TextField.tsx';
import { visibleStart } from '../ui/visible.ts';
import { Section } from './Section.tsx';

/** A prefix may have 65,522 bytes. */
const PREFIX_CHARS_SHOWN = 100;

export function Discovery() {
  const { broker, announcer } = useStation();
  const prefix = usePrefixes((state) => prefixOf(state, broker));
  const setPrefix = usePrefixes((state) => state.setPrefix);
  const [draft, setDraft] = useState(prefix);
  const [problem, setProblem] = useState<string>();
  const choose = (chosen: string): void => {
    const why = whyNotPrefix(chosen);
    setProblem(why);
    if (why !== undefined) return;
    setDraft(chosen);
    setPrefix(broker, chosen);
    announcer.say(`Devices for Home Assistant are found below ${visibleStart(chosen, PREFIX_CHARS_SHOWN)}`);
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    choose(draft.trim());
  };
  return (
    <Section
      title="Home Assistant"
      note={`For ${broker.name}. Kept in this browser; the devices of another prefix leave the list.`}
    >
      <form onSubmit={submit} className="flex flex-col gap-3" aria-label="Choose the prefix">
        <TextField
          label="Discovery prefix"
          value={draft}
          onChange={(value) => {
            setDraft(value);
            setProblem(undefined);
          }}
          hint={`Configurations are expected at PREFIX/…/config; in use: ${visibleStart(prefix, PREFIX_CHARS_SHOWN)}`}
          problem={problem}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          isMono
        />
        <div className="flex flex-wrap gap-2">
          <Button type="submit" look="solid" disabled={draft.trim() === prefix}>
            Use this prefix
          </Button>
          {prefix !== PREFIX_DEFAULT && (
            <Button
              onClick={() => {
                choose(PREFIX_DEFAULT);
              }}
            >
              Back to {PREFIX_DEFAULT}
            </Button>
          )}
        </div>
      </form>
    </Section>
  );
}
