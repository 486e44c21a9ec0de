/** Questions to a broker's own HTTP interface, below the `api` of its configuration. An answer is JSON, or says why not. */
import { pageFetch } from './page-fetch.ts';

const ANSWER_WITHIN_MS = 15_000;

/** The server has answered, and not with what was asked for. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

/** A question to one broker's interface, as {@link ask} has it. */
export type Ask = (
  path: string,
  query: Record<string, string | number>,
  stopped: AbortSignal,
) => Promise<unknown>;

/** `path` is below `api`, which is relative to the page. Throws a {@link Refusal}, or an error that says what happened. */
export async function ask(
  api: string,
  path: string,
  query: Record<string, string | number>,
  stopped: AbortSignal,
): Promise<unknown> {
  const url = new URL(`${api}/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  let response: Response;
  try {
    response = await pageFetch(url, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.any([stopped, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      throw new Error(`the server did not answer within ${ANSWER_WITHIN_MS / 1_000} s`, { cause: error });
    }
    // What browsers say of a server that is not there differs, and says less.
    throw error instanceof TypeError ? new Error('the server does not answer', { cause: error }) : error;
  }
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return answer;
  throw new Refusal(response.status, reasonIn(answer) ?? `the server answers ${response.status}`);
}

/** Why the server refused, if its answer says so. */
export function reasonIn(answer: unknown): string | undefined {
  return isRecord(answer) && typeof answer.error === 'string' ? answer.error : undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
