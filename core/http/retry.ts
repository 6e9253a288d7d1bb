/** Requests made for one call to a service: the first and three more. */
export const MAX_ATTEMPTS = 4;
/** Longest pause between two attempts, ms; what a service asks for in Retry-After is cut to it. */
export const MAX_DELAY_MS = 15_000;
/** Pause before the second attempt, ms; it doubles with each further one. */
const FIRST_DELAY_MS = 250;

/** True for an answer that another attempt may better: too many requests (RFC 6585 §4) and errors of the server itself. */
export function isTransient(status: number): boolean {
  return status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/**
 * The pause after failed attempt `attempt` (1, 2, ...), ms: what the service asked for, at most MAX_DELAY_MS; else
 * exponential with jitter, between half and all of its step. `random` gives one number in [0, 1).
 */
export function retryDelay(attempt: number, retryAfter: string | null, now: Date, random: () => number): number {
  const asked = parseRetryAfter(retryAfter, now);
  if (asked !== undefined) return Math.min(asked, MAX_DELAY_MS);
  const step = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS);
  // Jitter, so that many clients that failed together do not come back together.
  return Math.round(step / 2 + (step / 2) * random());
}

// RFC 9110 §10.2.3: seconds or an HTTP date. Anything else counts as absent.
function parseRetryAfter(value: string | null, now: Date): number | undefined {
  if (value === null) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(value)) return undefined;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now.getTime());
}
