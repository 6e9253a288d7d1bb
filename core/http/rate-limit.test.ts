import { describe, expect, test } from 'bun:test';
import { MAX_RATE_KEYS } from '../limits.ts';
import { createRateLimiter, type RateLimiter, retryAfter } from './rate-limit.ts';

let now = 0;
const clock = (): Date => new Date(now);
const taken = (limiter: RateLimiter, key: string, times: number): number[] =>
  Array.from({ length: times }, () => limiter(key));

describe('a token bucket', () => {
  test('lets a burst through, then as many as the rate says', () => {
    now = 1_000_000;
    const limiter = createRateLimiter({ perMinute: 120, burst: 3 }, clock);
    expect(taken(limiter, 'a', 4)).toEqual([0, 0, 0, 500]);
    now += 499;
    expect(limiter('a')).toBe(1);
    now += 1;
    expect(taken(limiter, 'a', 2)).toEqual([0, 500]);
    now += 60_000;
    expect(taken(limiter, 'a', 4)).toEqual([0, 0, 0, 500]);
  });

  test('is refused no longer for having asked while it was empty', () => {
    now = 1_000_000;
    const limiter = createRateLimiter({ perMinute: 60, burst: 1 }, clock);
    expect(taken(limiter, 'a', 100).filter((wait) => wait === 0)).toHaveLength(1);
    now += 1000;
    expect(limiter('a')).toBe(0);
  });

  test('belongs to one key', () => {
    const limiter = createRateLimiter({ perMinute: 60, burst: 1 }, clock);
    expect(limiter('a')).toBe(0);
    expect(limiter('a')).toBeGreaterThan(0);
    expect(limiter('b')).toBe(0);
  });

  test('survives a clock that is set back', () => {
    now = 1_000_000_000;
    const limiter = createRateLimiter({ perMinute: 60, burst: 2 }, clock);
    taken(limiter, 'a', 2);
    now -= 3_600_000;
    expect(limiter('a')).toBeLessThanOrEqual(1000);
    now += 2000;
    expect(limiter('a')).toBe(0);
  });

  test('of rate 0 has no limit', () => {
    const limiter = createRateLimiter({ perMinute: 0, burst: 0 }, clock);
    expect(taken(limiter, 'a', 1000).every((wait) => wait === 0)).toBe(true);
  });
});

test('more keys than are remembered: the one used longest ago begins anew, one in use does not', () => {
  now = 1_000_000;
  const limiter = createRateLimiter({ perMinute: 0.06, burst: 1 }, clock);
  limiter('old');
  limiter('busy');
  for (let i = 0; i < MAX_RATE_KEYS - 1; i++) limiter(`key-${i}`);
  expect(limiter('busy')).toBeGreaterThan(0);
  expect(limiter('old')).toBe(0);
});

test('Retry-After is in whole seconds', () => {
  expect([0, 1, 1000, 1001].map(retryAfter)).toEqual(['1', '1', '1', '2']);
});
