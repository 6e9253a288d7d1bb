import { describe, expect, test } from 'bun:test';
import { LARGE_BODY_BYTES, MAX_CLIENT_BODY_SHARE, MAX_LARGE_BODIES_BYTES, MAX_LOG_REQUEST_BYTES } from '../limits.ts';
import { clientOf, createBodyBudget } from './admission.ts';

describe('memory for bodies', () => {
  /** A body of the largest size that has come whole. */
  const whole = (budget: ReturnType<typeof createBodyBudget>, client?: string, bytes = MAX_LOG_REQUEST_BYTES) => {
    const reservation = budget.reserve(bytes, client);
    if (reservation?.resize(bytes)) return reservation;
    reservation?.release();
    return undefined;
  };

  test('a thousand largest ones: as many as fit, and what is given back fits again', () => {
    const budget = createBodyBudget();
    const given = Array.from({ length: 1000 }, () => whole(budget)).filter((reservation) => reservation !== undefined);
    expect(given).toHaveLength(Math.floor(MAX_LARGE_BODIES_BYTES / MAX_LOG_REQUEST_BYTES));
    expect(budget.reserved()).toBeLessThanOrEqual(MAX_LARGE_BODIES_BYTES);
    given[0]?.release();
    // Twice is once.
    given[0]?.release();
    expect(given[0]?.resize(1)).toBe(false);
    expect(whole(budget)).toBeDefined();
    expect(whole(budget)).toBeUndefined();
  });

  test.each([undefined, MAX_LOG_REQUEST_BYTES])('one that announces %p counts by what has come', (announced) => {
    const budget = createBodyBudget();
    const reservation = budget.reserve(announced, 'one');
    expect(budget.reserved()).toBe(LARGE_BODY_BYTES);
    expect(reservation?.resize(2 * LARGE_BODY_BYTES)).toBe(true);
    expect(budget.reserved()).toBe(2 * LARGE_BODY_BYTES);
  });

  test('large ones leave room for small ones, also those that do not come', () => {
    const budget = createBodyBudget();
    while (budget.reserve(undefined, undefined));
    expect(budget.reserve(MAX_LOG_REQUEST_BYTES, undefined)).toBeUndefined();
    expect(budget.reserve(LARGE_BODY_BYTES, undefined)).toBeDefined();
  });

  test('one client cannot take it all', () => {
    const budget = createBodyBudget();
    const bytes = MAX_LARGE_BODIES_BYTES * MAX_CLIENT_BODY_SHARE;
    const first = whole(budget, 'one', bytes);
    expect(first).toBeDefined();
    expect(whole(budget, 'one', LARGE_BODY_BYTES + 1)).toBeUndefined();
    expect(whole(budget, 'another', LARGE_BODY_BYTES + 1)).toBeDefined();
    first?.release();
    expect(whole(budget, 'one', LARGE_BODY_BYTES + 1)).toBeDefined();
  });
});

describe('who is limited', () => {
  const headers = (forwarded?: string) => new Headers(forwarded === undefined ? {} : { 'x-forwarded-for': forwarded });
  for (const [what, client, address, loopback, forwarded, header] of [
    ['a peer by its address', '192.0.2.7', '192.0.2.7', false, undefined, undefined],
    ['an IPv4 address in IPv6 by what it is', '192.0.2.7', '::ffff:192.0.2.7', false, undefined, undefined],
    ['an IPv6 address by its /64', '2001:db8:1:2::/64', '2001:db8:1:2:3:4:5:6', false, undefined, undefined],
    ['a short IPv6 address the same', '2001:db8:0:0::/64', '2001:DB8::5', false, undefined, undefined],
    ['nobody on this machine', undefined, '127.0.0.1', true, undefined, undefined],
    ['a peer, whatever it says in a header nobody trusts', '192.0.2.7', '192.0.2.7', false, '127.0.0.1', undefined],
    ['this machine, if it says so itself to nobody', undefined, '127.0.0.1', true, '192.0.2.1', undefined],
    [
      'whom the proxy saw, not what that one says',
      '192.0.2.9',
      '127.0.0.1',
      true,
      '10.0.0.1, 192.0.2.9',
      'x-forwarded-for',
    ],
    ['a proxy that names nobody', '10.1.1.1', '10.1.1.1', false, undefined, 'x-forwarded-for'],
    ['a proxy that names no address', '10.1.1.1', '10.1.1.1', false, 'x'.repeat(5000), 'x-forwarded-for'],
  ] as const) {
    test(what, () => {
      expect(clientOf(address, loopback, headers(forwarded), header)).toBe(client);
    });
  }
});
