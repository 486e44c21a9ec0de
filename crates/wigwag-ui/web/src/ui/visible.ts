/**
 * Names and payloads on one line, so that what they hold is seen: characters of control, and marks that turn the direction
 * of text or show nothing at all, as their numbers. For showing only; what is sent is the name itself.
 */

/** Nobody sees these; but joiners are part of some scripts and of many emoji, as variation selectors are. */
const UNSEEN = /(?![\p{VS}\u200c\u200d])[\p{Cc}\p{DI}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

/** Only its beginning, where a name may have 65,535 bytes. */
export function visibleStart(text: string, charsMax: number): string {
  return text.length <= charsMax ? visible(text) : `${visible(text.slice(0, charsMax))}…`;
}

export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `⟨${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}
