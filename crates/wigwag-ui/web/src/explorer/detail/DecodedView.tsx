/** What a payload says. Text is a text node whatever it holds; pictures come from the bytes, by an address of their own. */
import { useEffect, useState } from 'react';

import type { Decoded } from '../../message/decode.ts';
import { Icon } from '../../ui/icons.tsx';

export function DecodedView({ decoded }: { decoded: Decoded | undefined }) {
  if (decoded === undefined) return <p className="px-4 py-3 text-ink-soft">Unpacking…</p>;
  switch (decoded.kind) {
    case 'problem':
      return (
        <p className="flex gap-1.5 px-4 py-3 text-warn">
          <Icon name="warning" className="mt-0.5" />
          <span className="min-w-0 wrap-anywhere">{decoded.problem}</span>
        </p>
      );
    case 'image':
      return <Picture key={decoded.type} type={decoded.type} bytes={decoded.bytes} />;
    case 'text':
      return (
        <>
          {decoded.note !== undefined && <p className="px-4 pt-3 text-xs text-ink-soft">{decoded.note}.</p>}
          <pre
            tabIndex={0}
            aria-label="Payload"
            className="max-h-96 overflow-auto px-4 py-3 font-mono text-xs wrap-anywhere whitespace-pre-wrap -outline-offset-2"
          >
            {decoded.text === '' ? '(empty)' : decoded.text}
          </pre>
        </>
      );
  }
}

function Picture({ type, bytes }: { type: string; bytes: Uint8Array }) {
  const [url, setUrl] = useState<string>();
  const [isBroken, setIsBroken] = useState(false);
  useEffect(() => {
    const address = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type }));
    // eslint-disable-next-line react-hooks/set-state-in-effect -- the address has to be given back when it is not needed
    setUrl(address);
    setIsBroken(false);
    return () => {
      URL.revokeObjectURL(address);
    };
  }, [type, bytes]);
  if (isBroken) return <p className="px-4 py-3 text-warn">The browser cannot draw this {type}.</p>;
  return (
    <div className="grid place-items-center p-4">
      {url !== undefined && (
        <img
          src={url}
          alt={`The payload, ${type}`}
          onError={() => {
            setIsBroken(true);
          }}
          className="max-h-96 max-w-full rounded-lg border border-line"
        />
      )}
    </div>
  );
}
