/** The reading of a message in a component. Only that of gzip takes a moment. */
import { useEffect, useMemo, useState } from 'react';

import type { Decoded, DecoderName } from '../../message/decode.ts';
import { decode, decodeNow } from '../../message/decode.ts';
import type { Message } from '../../message/message.ts';

export function useDecoded(name: DecoderName, message: Message, birth?: Message): Decoded | undefined {
  const decoded = useMemo(
    () => (name === 'gzip' ? undefined : decodeNow(name, message, birth)),
    [name, message, birth],
  );
  const [unpacked, setUnpacked] = useState<{ message: Message; decoded: Decoded }>();
  useEffect(() => {
    if (name !== 'gzip') return;
    let isWanted = true;
    void decode(name, message, birth).then((result) => {
      if (isWanted) setUnpacked({ message, decoded: result });
    });
    return () => {
      isWanted = false;
    };
  }, [name, message, birth]);
  if (decoded !== undefined) return decoded;
  return unpacked?.message === message ? unpacked.decoded : undefined;
}
