import type { Peer } from '../core/http/front-end.ts';
import { createRateLimiter, type Rate, retryAfter } from '../core/http/rate-limit.ts';
import { Refusal } from './http.ts';
import { entryFacts } from './search/entry-facts.ts';

/** Throws a Refusal (429) if whoever signed this body logs faster than is allowed; this machine itself may always. */
export type EntryRate = (peer: Peer, body: Uint8Array) => void;

/**
 * Counts by the key that signed, which is proven when this is asked. The identity that a certificate claims is not: whoever
 * may name another's in a certificate of their own could use up the rate of that one.
 */
export function createEntryRate(rate: Rate, clock: () => Date): EntryRate {
  const limit = createRateLimiter(rate, clock);
  return (peer, body) => {
    if (peer.client === undefined || rate.perMinute === 0) return;
    // An entry without a key, as a timestamp is, counts for who sends it.
    const wait = limit(entryFacts(body).signers[0]?.key ?? peer.client);
    if (wait > 0) throw new Refusal(429, 'too many entries of this key', { 'Retry-After': retryAfter(wait) });
  };
}
