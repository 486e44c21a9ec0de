/** Any number of lines with a few cells each, of which only those in view are in the document. */
import { classNames } from '../../ui/class-names.ts';
import { useWindow } from '../../ui/useWindow.ts';

const ROW_PX = 32;

interface Props {
  label: string;
  count: number;
  /** The cells of a line: the first is what it is about. */
  row: (index: number) => readonly string[] | undefined;
}

export function Rows({ label, count, row }: Props) {
  const { box, onScroll, first, end } = useWindow(count, ROW_PX);
  const drawn = Array.from({ length: Math.max(0, end - first) }, (_, offset) => first + offset);
  return (
    <div
      ref={box}
      role="region"
      aria-label={label}
      tabIndex={0}
      onScroll={onScroll}
      className="max-h-40 overflow-auto overscroll-contain rounded-lg border border-line bg-sunken"
    >
      <div
        role="table"
        aria-label={label}
        aria-rowcount={count}
        style={{ height: count * ROW_PX }}
        className="relative min-w-140"
      >
        <div role="rowgroup" className="absolute inset-x-0" style={{ top: first * ROW_PX }}>
          {drawn.map((index) => (
            <div
              key={index}
              role="row"
              aria-rowindex={index + 1}
              className="grid h-8 grid-cols-[minmax(8rem,1fr)_minmax(8rem,1.4fr)_minmax(8rem,1.6fr)] items-center gap-3 px-3 text-xs"
            >
              {row(index)?.map((text, column, all) => (
                <span
                  // The cells of a line never change places.
                  key={column}
                  role="cell"
                  title={text}
                  className={classNames(
                    'truncate',
                    column > 0 && 'text-ink-soft',
                    column === all.length - 1 && all.length === 2 && 'col-span-2',
                    column > 0 && all.length > 2 && 'font-mono',
                  )}
                >
                  {text}
                </span>
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
