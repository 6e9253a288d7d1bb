import { type Http, joinUrl, request } from '../../http/client.ts';

/**
 * Where a TUF repository is read: gets the file at a path, at most `max` bytes; undefined if there is none. Throws if that
 * cannot be said.
 */
export type Mirror = (path: string, max: number) => Promise<Uint8Array | undefined>;

/** For one attempt at one file, ms. */
const TIMEOUT_MS = 30_000;

/** The mirror below an http(s) URL. Errors of `request`. */
export function mirrorAt(http: Http, base: string): Mirror {
  return async (path, max) => {
    const answer = await request(http, {
      service: 'the TUF repository',
      method: 'GET',
      url: joinUrl(base, `/${path}`),
      timeoutMs: TIMEOUT_MS,
      // No such file is 404, and 403 as object stores put it.
      accept: [200, 403, 404],
      maxBytes: max,
      wrongUrlHint: 'give the URL of the TUF repository that the operator of the instance published',
    });
    return answer.status === 200 ? answer.body : undefined;
  };
}
