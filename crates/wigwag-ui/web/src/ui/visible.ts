/**
 * Names and payloads on one line, so that what they hold is seen: characters of control as their pictures, marks that
 * turn the direction of text or show nothing at all as their numbers. For showing only; what is copied is the name itself.
 */

/** Nobody sees these; but joiners are part of some scripts and of many emoji, as variation selectors are. */
const UNSEEN = /(?![\p{VS}\u200c\u200d])[\p{Cc}\p{DI}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

const PICTURES_FROM = 0x2400;
const DELETE = 0x7f;
const PICTURE_OF_DELETE = 0x2421;

/** Only its beginning, where a name may have 65,535 bytes. */
export function visibleStart(text: string, charsMax: number): string {
  return text.length <= charsMax ? visible(text) : `${visible(text.slice(0, charsMax))}…`;
}

export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20) return String.fromCharCode(PICTURES_FROM + code);
    if (code === DELETE) return String.fromCharCode(PICTURE_OF_DELETE);
    return `⟨${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}
