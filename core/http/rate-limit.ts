import { MAX_RATE_KEYS } from '../limits.ts';

export interface Rate {
  /** 0: without limit. */
  readonly perMinute: number;
  /** What somebody who was quiet may do at once. */
  readonly burst: number;
}

/** Takes one from the bucket of `key`: 0 if there was one, else the milliseconds until there is. */
export type RateLimiter = (key: string) => number;

/**
 * One token bucket for each key, as the generic cell rate algorithm keeps it: of each key only the time at which its
 * bucket is full again. A key whose bucket is full needs no memory; beyond MAX_RATE_KEYS the one that was used longest ago
 * is forgotten, which lets it begin anew. A rate of 0 has no limit.
 */
export function createRateLimiter(rate: Rate, clock: () => Date): RateLimiter {
  if (rate.perMinute === 0) return () => 0;
  const spacing = 60_000 / rate.perMinute;
  const span = spacing * Math.max(1, rate.burst);
  const fullAt = new Map<string, number>(); // in the order of use, the oldest first
  return (key) => {
    const now = clock().getTime();
    // A clock that was set back must not lock anybody out for longer than a bucket takes to fill.
    const full = Math.min(Math.max(fullAt.get(key) ?? now, now), now + span);
    const wait = full + spacing - span - now;
    if (wait > 0) {
      fullAt.set(key, full);
      return Math.ceil(wait);
    }
    fullAt.delete(key);
    fullAt.set(key, full + spacing);
    forget(fullAt, now);
    return 0;
  };
}

// Two for each that is added, so that what is full again goes away sooner than new ones come.
function forget(fullAt: Map<string, number>, now: number): void {
  for (let i = 0; i < 2; i++) {
    const [oldest] = fullAt;
    if (oldest && (oldest[1] <= now || fullAt.size > MAX_RATE_KEYS)) fullAt.delete(oldest[0]);
  }
}

/** `Retry-After` (RFC 9110 §10.2.3): whole seconds, at least one. */
export const retryAfter = (milliseconds: number): string => `${Math.max(1, Math.ceil(milliseconds / 1000))}`;
