/** Questions over HTTP that the page asks by itself, to the server that it came from. */

/**
 * Says that a script asks: otherwise a browser may open a password window of its own when it is refused. Over plain
 * HTTP, browsers do not say so themselves.
 */
export function pageFetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set('x-requested-with', 'wigwag');
  return fetch(url, { cache: 'no-store', ...init, headers });
}
