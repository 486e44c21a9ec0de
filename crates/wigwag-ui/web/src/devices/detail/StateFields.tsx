/** Every value of the device's last state, with its unit; values of strangers are text and nothing else. */
import { useMemo } from 'react';

import { classNames } from '../../ui/class-names.ts';
import { formatCount, formatTemperature } from '../../ui/format.ts';
import type { Device } from '../device-store.ts';
import { isMeasured } from './device-record.ts';
import type { Field } from './fields.ts';
import { fieldsOf, unitOf } from './fields.ts';
import { formatValue } from './values.ts';

const TEXT_CHARS_MAX = 160;

export function StateFields({ device, isDoubtful }: { device: Device; isDoubtful: boolean }) {
  const { fields, beyond } = useMemo(() => fieldsOf(device.text), [device.text]);
  const shown = fields.filter(({ path }) => isMeasured(path));
  if (device.state === undefined) return <p className="text-ink-soft">No state received yet.</p>;
  return (
    <>
      <dl className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,9rem),1fr))] gap-x-6 gap-y-4">
        {shown.map((field) => (
          <div key={field.path} data-field={field.path} className="min-w-0">
            <dt className="truncate text-xs text-ink-soft" title={field.path}>
              {field.path}
            </dt>
            <dd
              className={classNames(
                'min-w-0 font-semibold tracking-tight wrap-anywhere',
                typeof field.value === 'string' && field.value.length > 24 ? 'text-sm' : 'text-2xl',
                isDoubtful && 'text-ink-faint',
              )}
            >
              <span className="nums">{textOf(field)}</span>
              {unitOf(field.path) !== undefined && (
                <span className="ml-1 text-sm font-medium text-ink-faint">{unitOf(field.path)}</span>
              )}
            </dd>
          </div>
        ))}
      </dl>
      {beyond > 0 && (
        <p className="nums text-xs text-ink-soft">
          {formatCount(beyond)} more values are in the payload: see the messages.
        </p>
      )}
    </>
  );
}

function textOf({ path, value }: Field): string {
  if (typeof value === 'number')
    return path === 'temperature' ? formatTemperature(value) : formatValue(value);
  const text = String(value);
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 1)}…`;
}
