/** The line for a terminal that lets simulated devices speak to the broker that this page speaks to. Pure. */

export function demoLine(url: string, userName: string | undefined): string {
  const whom =
    userName === undefined ? url : url.replace('://', `://${encodeURIComponent(userName)}:PASSWORD@`);
  return `wigwag simulate dashboard --count 20 --broker ${quoted(whom)}`;
}

/** For a POSIX shell: what is in an address may mean something to it. */
function quoted(text: string): string {
  return /^[\w:/.@%-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
