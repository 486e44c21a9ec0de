/** Gives the user a file. */

export function saveFile(text: readonly string[], name: string, type: string): void {
  const url = URL.createObjectURL(new Blob([...text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by then.
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, 10_000);
}
