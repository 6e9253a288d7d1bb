import { UsageError } from '../core/errors.ts';

/** An http(s) URL without final slash, credentials, query or fragment. UsageError with this hint. */
export function requirePlainUrl(given: string, hint: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isPlain =
    url !== undefined && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (isPlain && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, '');
  throw new UsageError(`not a plain http(s) URL: ${given.slice(0, 200)}`, { hint });
}
