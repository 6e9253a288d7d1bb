import { expect, test } from 'bun:test';
import { isValidAt } from './validity.ts';

const start = new Date(1000);
const end = new Date(2000);

test('both ends are included, one millisecond outside is not', () => {
  const at = (time: number): boolean => isValidAt({ start, end }, new Date(time));
  expect([999, 1000, 2000, 2001].map(at)).toEqual([false, true, true, false]);
});

test('a missing end is open', () => {
  expect(isValidAt({ start: undefined, end }, new Date(0))).toBe(true);
  expect(isValidAt({ start, end: undefined }, new Date(8e15))).toBe(true);
  expect(isValidAt({ start: undefined, end }, new Date(2001))).toBe(false);
});

test('an invalid date is a broken invariant, not a time within', () => {
  expect(() => isValidAt({ start: undefined, end: undefined }, new Date(Number.NaN))).toThrow('internal:');
});
