/**
 * The command palette: type, choose with the arrow keys, Enter. A combobox over grouped options as WAI-ARIA has it; the
 * focus never leaves the field.
 */
import type { KeyboardEvent } from 'react';
import { useEffect, useId, useMemo, useRef, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';

import { useStation } from '../../station.ts';
import { useStations } from '../../stations.ts';
import { classNames } from '../../ui/class-names.ts';
import { Dialog } from '../../ui/Dialog.tsx';
import { formatCount } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Keys } from '../../ui/Keys.tsx';
import { visibleStart } from '../../ui/visible.ts';
import { tabSearch } from '../links.ts';
import { useGoToBroker } from '../useGoToBroker.ts';
import type { Entry, Group, Surroundings } from './entries.ts';
import { fixedGroups, foundGroups } from './entries.ts';

const NAME_CHARS_MAX = 160;

export function PaletteDialog({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('');
  const [chosen, setChosen] = useState(0);
  const groups = useGroups(text);
  const entries = groups.flatMap((group) => group.entries);
  // What is found later may be less than what was found before.
  const at = Math.min(chosen, entries.length - 1);
  const listId = useId();

  const run = (entry: Entry | undefined): void => {
    if (entry === undefined) return;
    // First, so that an entry may open another dialog in this one's place.
    onClose();
    entry.run();
  };
  const handleKey = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    if (step !== undefined && entries.length > 0) {
      event.preventDefault();
      setChosen((at + step + entries.length) % entries.length);
    } else if (event.key === 'Enter' && !event.nativeEvent.isComposing) {
      event.preventDefault();
      run(entries[at]);
    }
  };
  return (
    <Dialog
      title="Find a page, a device, a topic, an action"
      isTitleHidden
      onClose={onClose}
      className="mt-[10dvh] md:max-w-xl"
    >
      <div className="flex items-center gap-2 border-b border-line px-4">
        <Icon name="search" className="text-ink-faint" />
        <input
          role="combobox"
          aria-label="Find a page, a device, a topic, an action"
          aria-expanded
          aria-controls={listId}
          aria-activedescendant={entries.length > 0 ? optionId(listId, at) : undefined}
          aria-autocomplete="list"
          autoComplete="off"
          autoFocus
          autoCapitalize="none"
          spellCheck={false}
          placeholder="Find a page, a device, a topic, an action"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setChosen(0);
          }}
          onKeyDown={handleKey}
          className="h-13 min-w-0 grow bg-transparent text-base outline-none placeholder:text-ink-faint"
        />
        <Keys keys={['Esc']} />
      </div>
      <div id={listId} role="listbox" aria-label="Results" className="max-h-[60dvh] overflow-y-auto p-2">
        {groups.map((group) => (
          <Results key={group.title} group={group} listId={listId} entries={entries} at={at} onRun={run} />
        ))}
      </div>
      <p role="status" className={entries.length === 0 ? 'px-4 pb-4 text-ink-soft' : 'sr-only'}>
        {entries.length === 0 && 'Nothing is called that.'}
      </p>
    </Dialog>
  );
}

const STEPS: Record<string, number | undefined> = { ArrowDown: 1, ArrowUp: -1 };

interface ResultsProps {
  group: Group;
  listId: string;
  /** Of all groups: a position counts among these. */
  entries: readonly Entry[];
  at: number;
  onRun: (entry: Entry) => void;
}

function Results({ group, listId, entries, at, onRun }: ResultsProps) {
  return (
    <div role="group" aria-label={group.title} className="pb-1">
      <p aria-hidden="true" className="px-2 pt-1.5 pb-1 text-xs font-medium text-ink-faint">
        {group.title}
      </p>
      {group.entries.map((entry) => {
        const position = entries.indexOf(entry);
        return (
          <Option
            key={position}
            id={optionId(listId, position)}
            entry={entry}
            isChosen={position === at}
            onRun={onRun}
          />
        );
      })}
      {group.beyond > 0 && (
        <p className="nums px-2 py-1 text-xs text-ink-soft">
          {formatCount(group.beyond)} more: type on to find them
        </p>
      )}
    </div>
  );
}

interface OptionProps {
  id: string;
  entry: Entry;
  isChosen: boolean;
  onRun: (entry: Entry) => void;
}

function Option({ id, entry, isChosen, onRun }: OptionProps) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isChosen) element.current?.scrollIntoView({ block: 'nearest' });
  }, [isChosen]);
  return (
    <div
      ref={element}
      id={id}
      role="option"
      aria-selected={isChosen}
      onClick={() => {
        onRun(entry);
      }}
      className={classNames(
        'flex min-h-11 cursor-pointer items-center gap-3 rounded-lg px-2 py-1.5 hover:bg-sunken',
        isChosen && 'bg-accent-soft text-accent',
      )}
    >
      <Icon name={entry.icon} />
      <span className="min-w-0 grow wrap-anywhere">
        <bdi>{visibleStart(entry.name, NAME_CHARS_MAX)}</bdi>
        {entry.about !== '' && <span className="ml-2 text-xs text-ink-soft">{entry.about}</span>}
      </span>
      {entry.keys !== undefined && (
        <span className="max-sm:hidden">
          <Keys keys={entry.keys} />
        </span>
      )}
    </div>
  );
}

function optionId(listId: string, position: number): string {
  return `${listId}-${position}`;
}

/** Pages and actions at once, the rest when the screens have found it; an answer to an older text is not shown. */
function useGroups(text: string): Group[] {
  const station = useStation();
  const stations = useStations();
  const goTo = useGoToBroker();
  const navigate = useNavigate();
  const search = tabSearch(useLocation().search);
  const surroundings = useMemo<Surroundings>(
    () => ({ station, stations, goTo, navigate, search }),
    [station, stations, goTo, navigate, search],
  );
  const [found, setFound] = useState<{ text: string; groups: Group[] }>({ text: '', groups: [] });
  useEffect(() => {
    let isCurrent = true;
    void foundGroups(text, surroundings).then((groups) => {
      if (isCurrent) setFound({ text, groups });
    });
    return () => {
      isCurrent = false;
    };
  }, [text, surroundings]);
  const fixed = useMemo(() => fixedGroups(text, surroundings), [text, surroundings]);
  return found.text === text ? [...fixed, ...found.groups] : fixed;
}
