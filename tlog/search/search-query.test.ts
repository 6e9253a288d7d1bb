import { expect, test } from 'bun:test';
import { parseSearchRequest } from './search-query.ts';

const groupsOf = (domain: string) => parseSearchRequest(new URLSearchParams({ domain })).query.groups;

test('a domain in Unicode is the one that certificates name in ASCII', () => {
  expect(groupsOf('bücher.example')).toEqual(groupsOf('xn--bcher-kva.example'));
  expect(groupsOf('@Bücher.example')).toEqual(groupsOf('@xn--bcher-kva.example'));
});

test('a day that exists in a leap year alone is one there', () => {
  const since = (time: string) => parseSearchRequest(new URLSearchParams({ since: time })).query.since;
  expect(since('2028-02-29T00:00:00Z')).toBe(Date.UTC(2028, 1, 29) / 1000);
  expect(() => since('2026-02-29T00:00:00Z')).toThrow('since: ');
});
