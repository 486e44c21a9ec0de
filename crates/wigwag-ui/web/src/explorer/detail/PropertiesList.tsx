/** The properties of MQTT 5 that came with a message. */
import type { ReactNode } from 'react';

import type { Properties } from '../../message/message.ts';
import { hexOf } from '../../message/value.ts';
import { formatAge } from '../../ui/format.ts';

export function PropertiesList({ properties }: { properties: Properties }) {
  const rows = rowsOf(properties);
  if (rows.length === 0) return null;
  return (
    <section aria-label="Properties" className="border-t border-line px-4 py-3">
      <h3 className="pb-2 font-medium">Properties</h3>
      <dl className="grid grid-cols-[minmax(6rem,auto)_1fr] gap-x-4 gap-y-1.5">
        {rows.map(([name, value], index) => (
          <div key={index} className="contents">
            <dt className="text-ink-soft wrap-anywhere">{name}</dt>
            <dd className="font-mono text-xs leading-5 wrap-anywhere">{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function rowsOf(properties: Properties): [name: string, value: ReactNode][] {
  const { messageExpiryInterval: expiry, correlationData, userProperties = [] } = properties;
  const rows: [string, ReactNode | undefined][] = [
    ['Content Type', properties.contentType],
    ['Response Topic', properties.responseTopic],
    ['Correlation Data', correlationData === undefined ? undefined : correlationText(correlationData)],
    ['Message Expiry', expiry === undefined ? undefined : expiryText(expiry)],
    ['Payload Format', formatText(properties.payloadFormatIndicator)],
    ['Subscription Identifier', properties.subscriptionIdentifiers?.join(', ')],
    ...userProperties.map(([name, value]): [string, string] => [`User: ${name}`, value]),
  ];
  return rows.filter(([, value]) => value !== undefined);
}

function expiryText(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : `${seconds} s (${formatAge(seconds * 1000)})`;
}

function formatText(indicator: 0 | 1 | undefined): string | undefined {
  if (indicator === undefined) return undefined;
  return indicator === 1 ? 'UTF-8' : 'bytes';
}

/** As text where it is some, and always as bytes: two that look the same may differ. */
function correlationText(bytes: Uint8Array): string {
  const hex = `0x${hexOf(bytes)}`;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return /^[^\p{Cc}]+$/u.test(text) ? `${text} (${hex})` : hex;
  } catch {
    return hex;
  }
}
