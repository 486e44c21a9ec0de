/**
 * What is selected among the devices, and what can be done with them together. Always there, so that nothing moves when
 * the first one is selected.
 */
import { Button } from '../ui/Button.tsx';
import { Checkbox } from '../ui/Checkbox.tsx';
import { formatCount } from '../ui/format.ts';
import type { Selection } from './bulk/selection.ts';
import { extent } from './bulk/selection.ts';

/** `isRange` with Shift: all from the last one on. */
export type OnSelect = (id: string, isRange: boolean) => void;

interface Props {
  selection: Selection;
  shown: readonly string[];
  /** Why nothing can be sent now. */
  isBlocked: boolean;
  onSelectAll: (isOn: boolean) => void;
  onClear: () => void;
  onCommand: () => void;
  onTags: () => void;
}

export function SelectionBar(props: Props) {
  const { selection, shown, isBlocked, onSelectAll, onClear, onCommand, onTags } = props;
  const count = selection.ids.size;
  const isNothing = count === 0;
  const isDisabled = isNothing || isBlocked;
  return (
    <div
      role="group"
      aria-label="Selection"
      className="-ml-1.5 flex flex-wrap items-center gap-x-1 gap-y-1 md:-ml-2"
    >
      <SelectAll selection={selection} shown={shown} onSelectAll={onSelectAll} />
      <span data-testid="selected" className="nums min-w-48 text-ink-soft">
        {isNothing ? `Select all ${formatCount(shown.length)}` : told(selection, shown)}
      </span>
      <div className="ml-1.5 flex flex-wrap gap-2 sm:ml-auto">
        <Button disabled={isDisabled} onClick={onCommand}>
          Command…
        </Button>
        <Button disabled={isDisabled} onClick={onTags}>
          Tags…
        </Button>
        <Button look="ghost" disabled={isNothing} onClick={onClear}>
          Select none
        </Button>
      </div>
    </div>
  );
}

/** All that the search and the facets leave, not only those in view. */
export function SelectAll({
  selection,
  shown,
  onSelectAll,
}: Pick<Props, 'selection' | 'shown' | 'onSelectAll'>) {
  const how = extent(selection, shown);
  return (
    <Checkbox
      label={`Select all ${formatCount(shown.length)}`}
      isChecked={how === 'all'}
      isMixed={how === 'some'}
      onPress={() => {
        onSelectAll(how !== 'all');
      }}
    />
  );
}

function told({ ids }: Selection, shown: readonly string[]): string {
  const here = shown.filter((id) => ids.has(id)).length;
  const elsewhere = ids.size - here;
  const all = `${formatCount(ids.size)} selected`;
  return elsewhere === 0 ? all : `${all}, ${formatCount(elsewhere)} of them not in this list`;
}
