/** Which tags the devices are to get and to lose. The broker keeps them, so it works for devices that are away too. */
import { useEffect, useMemo, useState } from 'react';

import { Button } from '../../ui/Button.tsx';
import { formatCount } from '../../ui/format.ts';
import { TextField } from '../../ui/TextField.tsx';
import type { Device } from '../model.ts';
import { TAG_CHARS_MAX } from '../sources/tags.ts';
import type { Wanted } from './BulkDialog.tsx';

const LISTED_MAX = 60;

interface Props {
  devices: readonly Device[];
  onChange: (wanted: Wanted) => void;
}

export function TagsForm({ devices, onChange }: Props) {
  const [text, setText] = useState('');
  const [removed, setRemoved] = useState<ReadonlySet<string>>(new Set());
  const present = useMemo(() => tagsOf(devices), [devices]);
  const added = useMemo(() => split(text), [text]);
  const tooLong = added.find((tag) => tag.length > TAG_CHARS_MAX);
  const wanted = useMemo((): Wanted => {
    if ((added.length === 0 && removed.size === 0) || tooLong !== undefined) return undefined;
    return { name: 'Tags', wish: { kind: 'tags', add: added, remove: [...removed] } };
  }, [added, removed, tooLong]);
  useEffect(() => {
    onChange(wanted);
  }, [onChange, wanted]);
  return (
    <div className="flex flex-col gap-3">
      <TextField
        label="Add"
        value={text}
        onChange={setText}
        placeholder="hall, second floor"
        autoComplete="off"
        hint="Words or phrases, with commas between"
        problem={tooLong === undefined ? undefined : `A tag has at most ${TAG_CHARS_MAX} characters`}
      />
      {present.length > 0 && (
        <div role="group" aria-label="Remove" className="flex flex-col gap-1.5">
          <span className="font-medium">Remove</span>
          <div className="flex flex-wrap gap-1.5">
            {present.slice(0, LISTED_MAX).map(([tag, count]) => (
              <Button
                key={tag}
                pressed={removed.has(tag)}
                className="max-w-full"
                onClick={() => {
                  setRemoved(toggled(removed, tag));
                }}
              >
                <span className="min-w-0 truncate">{tag}</span>
                <span className="nums text-xs">{formatCount(count)}</span>
              </Button>
            ))}
          </div>
          {present.length > LISTED_MAX && (
            <p className="nums text-ink-soft">
              {formatCount(present.length - LISTED_MAX)} more are not listed: select fewer devices to see
              them.
            </p>
          )}
        </div>
      )}
    </div>
  );
}

/** Those of most devices first. */
function tagsOf(devices: readonly Device[]): [tag: string, count: number][] {
  const counts = new Map<string, number>();
  for (const { tags } of devices) for (const tag of tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a);
}

function split(text: string): string[] {
  const tags = text.split(',').map((tag) => tag.trim());
  return [...new Set(tags.filter((tag) => tag !== ''))];
}

function toggled(tags: ReadonlySet<string>, tag: string): ReadonlySet<string> {
  const after = new Set(tags);
  if (!after.delete(tag)) after.add(tag);
  return after;
}
