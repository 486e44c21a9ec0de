/**
 * Addresses within the application. Anything may be the name of a device or of a topic's level, but not every such name
 * survives in a path: empty levels, `.` and `..` are tidied away by browsers, routers and proxies. They carry a `~`.
 */

/** The address of one device. */
export function devicePath(id: string): string {
  return `/devices/${escapeSegment(id)}`;
}

/** The id in the parameter `:id`, which the router has decoded already. */
export function deviceOfParam(param: string): string {
  return param.startsWith('~') ? param.slice(1) : param;
}

/** The address of a topic in the Explorer. */
export function topicPath(topic: string): string {
  return `/explore/${topic.split('/').map(escapeSegment).join('/')}`;
}

/**
 * The topic in a path as `useLocation` has it, still encoded; nothing when the path names none. The router's own decoding
 * of `*` cannot be undone when a level contains a percent sign.
 */
export function topicOfPath(pathname: string): string | undefined {
  const rest = /^\/explore\/(.+)$/.exec(pathname)?.[1];
  return rest?.split('/').map(unescapeSegment).join('/');
}

/** The part of the query that is for the tab and goes along to every page: which broker it is connected to. */
export function tabSearch(search: string): string {
  const broker = new URLSearchParams(search).get('broker');
  return broker === null ? '' : `?${new URLSearchParams({ broker }).toString()}`;
}

/** The screen without what is open there: of another broker, topics and devices are others. */
export function sameScreen(pathname: string): string {
  return /^\/[^/]*/.exec(pathname)?.[0] ?? '/';
}

function escapeSegment(name: string): string {
  const fragile = name === '' || name === '.' || name === '..' || name.startsWith('~');
  return (fragile ? '~' : '') + encodeURIComponent(name);
}

function unescapeSegment(segment: string): string {
  const name = decoded(segment);
  return name.startsWith('~') ? name.slice(1) : name;
}

/** An address typed by hand may hold a percent sign that encodes nothing. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
