/** Every value that the device tells, with its unit; values of strangers are text and nothing else. */
import { classNames } from '../../ui/class-names.ts';
import { formatCount } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { textOf } from '../field-text.ts';
import type { Device } from '../model.ts';

export function StateFields({ device, isDoubtful }: { device: Device; isDoubtful: boolean }) {
  const { fields, fieldsBeyond } = device;
  if (fields.length === 0) return <p className="text-ink-soft">No state received yet.</p>;
  return (
    <>
      <dl className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,9rem),1fr))] gap-x-6 gap-y-4">
        {fields.map((field) => (
          <div key={field.key} data-field={field.key} className="min-w-0">
            <dt className="truncate text-xs text-ink-soft" title={field.doubt ?? field.label}>
              {field.label}
              {field.doubt !== undefined && (
                <>
                  <Icon name="warning" className="ml-1 inline size-3.5 text-warn" />
                  <span className="sr-only"> {field.doubt}</span>
                </>
              )}
            </dt>
            <dd
              className={classNames(
                'min-w-0 font-semibold tracking-tight wrap-anywhere',
                textOf(field).length > 24 ? 'text-sm' : 'text-2xl',
                isDoubtful && 'text-ink-faint',
              )}
            >
              <span className="nums">{textOf(field)}</span>
              {field.unit !== undefined && (
                <span className="ml-1 text-sm font-medium text-ink-faint">{field.unit}</span>
              )}
            </dd>
          </div>
        ))}
      </dl>
      {fieldsBeyond > 0 && (
        <p className="nums text-xs text-ink-soft">
          {formatCount(fieldsBeyond)} more values are in the payload: see the messages.
        </p>
      )}
    </>
  );
}
