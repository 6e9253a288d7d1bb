import { HallmarkError, ServiceError } from '../../errors.ts';

/** The part of the global `fetch` that is used. */
export type FetchLike = (url: string, init?: RequestInit) => Promise<Response>;

/** Milliseconds for one file, from the first byte sent to the last one read. */
const TIMEOUT_MS = 30_000;
/** Redirects followed within one origin; real mirrors use none. */
const MAX_REDIRECTS = 3;

/**
 * Fetches `path` below `base` (http or https), at most `max` bytes; undefined if the mirror says that there is no such
 * file (404, and 403 as object stores put it). Redirects to another origin are refused. Otherwise a ServiceError.
 */
export async function fetchFile(
  fetch: FetchLike,
  base: string,
  path: string,
  max: number,
): Promise<Uint8Array | undefined> {
  const first = `${base.replace(/\/+$/, '')}/${path}`;
  if (!URL.canParse(first) || !/^https?:$/.test(new URL(first).protocol)) {
    throw new ServiceError('SERVICE_UNREACHABLE', `not an http(s) URL: ${base.slice(0, 200)}`, {
      hint: 'give the URL that the operator of the instance published',
    });
  }
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let url = first;
  try {
    for (let redirects = 0; ; redirects++) {
      const response = await fetch(url, { redirect: 'manual', signal });
      if (response.status === 200) return await readBounded(response, url, max);
      await response.body?.cancel();
      if (response.status === 404 || response.status === 403) return undefined;
      if (![301, 302, 303, 307, 308].includes(response.status)) throw refused(url, response.status, 'unexpected');
      url = redirectTarget(url, response, redirects);
    }
  } catch (cause) {
    if (cause instanceof HallmarkError) throw cause;
    const problem = signal.aborted ? `no answer within ${TIMEOUT_MS / 1000} s` : (cause as Error).message;
    throw new ServiceError('SERVICE_UNREACHABLE', `${url} cannot be reached: ${problem}`, {
      cause,
      hint: `is it running, and does this computer reach it? curl -v ${url}`,
    });
  }
}

function redirectTarget(from: string, response: Response, redirects: number): string {
  const location = response.headers.get('location');
  if (location === null || !URL.canParse(location, from)) throw refused(from, response.status, 'a redirect to nowhere');
  const target = new URL(location, from);
  if (target.origin !== new URL(from).origin) {
    throw refused(from, response.status, `a redirect to another host, ${target.origin}, is not followed`);
  }
  if (redirects >= MAX_REDIRECTS) throw refused(from, response.status, `more than ${MAX_REDIRECTS} redirects`);
  return target.href;
}

const refused = (url: string, status: number, problem: string): ServiceError =>
  new ServiceError('SERVICE_REFUSED', `${url} answered ${status}: ${problem}`, {
    status,
    hint: 'try again later, or ask the operator of the instance for the URL of its TUF repository',
  });

async function readBounded(response: Response, url: string, max: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop by an error cancels the stream.
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > max) {
      throw new ServiceError('SERVICE_ANSWER_INVALID', `${url} is larger than the ${max} bytes it may have`, {
        hint: 'the mirror does not hold what was signed; ask the operator of the instance',
      });
    }
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, length));
}
