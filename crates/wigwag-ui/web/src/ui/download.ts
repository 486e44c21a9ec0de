/** Hands a file to the user, by way of the browser's own downloads. */

/** Longer than any browser takes to begin with it. */
const KEPT_MS = 60_000;
const NAME_CHARS_MAX = 100;

export function saveAs(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName(name);
  link.click();
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, KEPT_MS);
}

/** Names of devices and topics may hold what no file system takes. */
export function fileName(name: string): string {
  const safe = name.replace(/[^\p{L}\p{N}._-]+/gu, '_');
  return safe.length <= NAME_CHARS_MAX ? safe : safe.slice(-NAME_CHARS_MAX);
}
