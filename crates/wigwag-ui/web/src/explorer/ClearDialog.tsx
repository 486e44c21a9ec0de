/** Asks before retained messages are cleared, and wants the branch typed when there are many. */
import { useState } from 'react';

import { Button } from '../ui/Button.tsx';
import { Dialog } from '../ui/Dialog.tsx';
import { formatCount } from '../ui/format.ts';
import { TextField } from '../ui/TextField.tsx';
import type { Survey } from './protocol.ts';
import { visible, visibleStart } from '../ui/visible.ts';

/** Beyond so many, a click is not enough. */
export const CLICK_MAX = 100;
const PATH_CHARS_MAX = 300;
const TYPED_CHARS_MAX = 80;

interface Props {
  path: string;
  /** Absent until the worker has counted. */
  survey: Survey | undefined;
  onConfirm: () => void;
  onClose: () => void;
}

export function ClearDialog({ path, survey, onConfirm, onClose }: Props) {
  const [typed, setTyped] = useState('');
  const count = survey?.path === path ? survey.retained : undefined;
  // As it is seen: some characters no keyboard has, and nobody types a long one.
  const wanted = visible(path).slice(0, TYPED_CHARS_MAX);
  const mustType = count !== undefined && count > CLICK_MAX;
  const isReady = count !== undefined && count > 0 && (!mustType || typed === wanted);
  return (
    <Dialog title="Clear retained messages" onClose={onClose} className="sm:w-120">
      <form
        className="flex flex-col gap-4 p-5"
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) onConfirm();
        }}
      >
        <p className="wrap-anywhere" data-testid="clear-count">
          {question(count)} <code className="font-mono text-xs">{visibleStart(path, PATH_CHARS_MAX)}</code>
          {count === 0 ? '.' : '?'}
        </p>
        {count !== 0 && (
          <p className="text-ink-soft">
            Only those that are in this tree. For 30 seconds they can be published again.
            {survey !== undefined && survey.cut > 0 && (
              <strong className="font-medium text-warn">
                {' '}
                {formatCount(survey.cut)} of them are too large to be kept here, and cannot be brought back.
              </strong>
            )}
          </p>
        )}
        {mustType && (
          <TextField
            label={`Type ${wanted} to confirm`}
            isMono
            value={typed}
            onChange={setTyped}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
          />
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="solid" icon="trash" disabled={!isReady}>
            {count === undefined ? 'Clear' : `Clear ${formatCount(count)}`}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function question(count: number | undefined): string {
  switch (count) {
    case undefined:
      return 'Counting the retained messages at and below';
    case 0:
      return 'There are no retained messages at and below';
    case 1:
      return 'Clear 1 retained message at or below';
    default:
      return `Clear ${formatCount(count)} retained messages at and below`;
  }
}
