/** Which entries fit what was typed, the best first. Pure. */

/** Every word has to be somewhere in it. Names that begin with the text come first, then those with a word that does. */
export function matching<Entry>(
  entries: readonly Entry[],
  text: string,
  words: (entry: Entry) => { name: string; about: string },
): Entry[] {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return [...entries];
  return entries
    .map((entry) => {
      const { name, about } = words(entry);
      return { entry, rank: rankOf(name.toLowerCase(), about.toLowerCase(), wanted) };
    })
    .filter(({ rank }) => rank < NO_MATCH)
    .sort((a, b) => a.rank - b.rank)
    .map(({ entry }) => entry);
}

const NO_MATCH = 4;

function rankOf(name: string, about: string, wanted: readonly string[]): number {
  return Math.max(...wanted.map((word) => rankOfWord(name, about, word)));
}

function rankOfWord(name: string, about: string, word: string): number {
  const at = name.indexOf(word);
  if (at === 0) return 0;
  if (at > 0) return /[\s/\-_.]/.test(name.charAt(at - 1)) ? 1 : 2;
  return about.includes(word) ? 3 : NO_MATCH;
}
