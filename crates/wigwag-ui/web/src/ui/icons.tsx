/** The icons, drawn on a 16-pixel grid in the colour of the text. Decoration: the words beside them carry the meaning. */
import type { ReactNode } from 'react';

import { classNames } from './class-names.ts';

const DRAWINGS = {
  broker: (
    <>
      <rect x="2.5" y="3" width="11" height="4" rx="1.2" />
      <rect x="2.5" y="9" width="11" height="4" rx="1.2" />
      <path d="M5 5h.01M5 11h.01" />
    </>
  ),
  chart: <path d="M2.5 2.5v11h11M5 10.5l2.8-3.5 2.2 2 3-4.5" />,
  check: <path d="m3.5 8.5 3 3 6-7" />,
  clock: (
    <>
      <circle cx="8" cy="8" r="5.75" />
      <path d="M8 5v3.2l2 1.3" />
    </>
  ),
  close: <path d="m4.5 4.5 7 7m0-7-7 7" />,
  copy: (
    <>
      <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
      <path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5" />
    </>
  ),
  devices: (
    <>
      <rect x="2.25" y="2.25" width="5" height="5" rx="1.2" />
      <rect x="8.75" y="2.25" width="5" height="5" rx="1.2" />
      <rect x="2.25" y="8.75" width="5" height="5" rx="1.2" />
      <rect x="8.75" y="8.75" width="5" height="5" rx="1.2" />
    </>
  ),
  down: <path d="M8 3v9.5m0 0 3.5-3.5M8 12.5 4.5 9" />,
  explorer: <path d="M3.5 2.5v9.5h4m-4-6h4M9 4.5h4.5v3H9Zm0 6h4.5v3H9Z" />,
  folded: <path d="m6 3.5 4.5 4.5L6 12.5" />,
  idle: <path d="M5.5 4.5v7m5-7v7" />,
  key: (
    <>
      <circle cx="5.5" cy="10.5" r="3" />
      <path d="m7.7 8.3 5.3-5.3m-2 2 1.8 1.8" />
    </>
  ),
  keyboard: (
    <>
      <rect x="1.75" y="4" width="12.5" height="8" rx="1.25" />
      <path d="M4.5 6.7h.01m2.3 0h.01m2.3 0h.01m2.3 0h.01M5.5 9.4h5" />
    </>
  ),
  moon: <path d="M13 9.6A5.4 5.4 0 0 1 6.4 3a5.4 5.4 0 1 0 6.6 6.6Z" />,
  offline: (
    <>
      <circle cx="8" cy="8" r="5.75" />
      <path d="m6 6 4 4m0-4-4 4" />
    </>
  ),
  online: (
    <>
      <circle cx="8" cy="8" r="5.75" />
      <path d="m5.5 8.2 1.8 1.8 3.2-3.8" />
    </>
  ),
  pause: <path d="M5.5 4v8m5-8v8" />,
  play: <path d="M5.25 3.6v8.8L12 8Z" />,
  question: (
    <>
      <circle cx="8" cy="8" r="5.75" />
      <path d="M6.4 6.4a1.65 1.65 0 1 1 2.3 1.5c-.5.2-.7.5-.7 1M8 11h.01" />
    </>
  ),
  record: <circle cx="8" cy="8" r="3.5" fill="currentColor" />,
  retry: <path d="M13 3.5v3h-3m2.8-.3A5.2 5.2 0 1 0 13.2 9" />,
  search: (
    <>
      <circle cx="7" cy="7" r="4.25" />
      <path d="m10.2 10.2 3.3 3.3" />
    </>
  ),
  settings: (
    <>
      <path d="M2.5 5h5m4 0h2m-11 6h2m4 0h5" />
      <circle cx="9.5" cy="5" r="1.9" />
      <circle cx="6.5" cy="11" r="1.9" />
    </>
  ),
  spinner: <path d="M8 2.25A5.75 5.75 0 1 1 2.25 8" />,
  stop: <rect x="4.25" y="4.25" width="7.5" height="7.5" rx="1" />,
  sun: (
    <>
      <circle cx="8" cy="8" r="2.75" />
      <path d="M8 1.75v1.5m0 9.5v1.5M1.75 8h1.5m9.5 0h1.5M3.6 3.6l1 1m6.8 6.8 1 1m0-8.8-1 1m-6.8 6.8-1 1" />
    </>
  ),
  system: (
    <>
      <rect x="2" y="3" width="12" height="8" rx="1.25" />
      <path d="M6 13.5h4" />
    </>
  ),
  trash: <path d="M3 4.5h10m-6-2h2M4.5 4.5l.5 8A1 1 0 0 0 6 13.5h4a1 1 0 0 0 1-1l.5-8" />,
  unfolded: <path d="m3.5 6 4.5 4.5L12.5 6" />,
  up: <path d="M8 13V3.5m0 0L4.5 7M8 3.5 11.5 7" />,
  warning: <path d="M8 2.6 14 13H2Zm0 4v3m0 1.7h.01" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof DRAWINGS;

interface Props {
  name: IconName;
  className?: string;
}

export function Icon({ name, className }: Props) {
  return (
    <svg
      aria-hidden="true"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      className={classNames('size-4 shrink-0', name === 'spinner' && 'spinning', className)}
    >
      {DRAWINGS[name]}
    </svg>
  );
}
