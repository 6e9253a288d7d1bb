import { describe, expect, test } from 'bun:test';
import { lowerBoundRow, ROW_WORDS, sortRows } from './rows.ts';

/** Rows of few different halves, so that many are equal. */
function randomRows(count: number, halves: number): number[][] {
  const half = () => Math.floor(Math.random() * halves) * Math.floor(2 ** 32 / halves);
  return Array.from({ length: count }, (_, place) => [half(), half(), place]);
}

const compare = (a: number[], b: number[]) => a[0]! - b[0]! || a[1]! - b[1]! || a[2]! - b[2]!;

describe('sortRows', () => {
  test.each([0, 1, 2, 1000])('sorts %d rows by key and place', (count) => {
    for (const halves of [1, 3, 2 ** 32]) {
      const rows = randomRows(count, halves);
      const sorted = sortRows(Uint32Array.from(rows.flat()));
      expect([...sorted]).toEqual(rows.toSorted(compare).flat());
    }
  });
});

describe('lowerBoundRow', () => {
  test('finds what a scan finds', () => {
    const rows = randomRows(200, 5).toSorted(compare);
    const words = Uint32Array.from(rows.flat());
    for (const wanted of [...rows, ...randomRows(200, 7), [0, 0, 0], [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1]]) {
      const [high, low, place] = wanted as [number, number, number];
      const scanned = rows.findIndex((row) => compare(row, wanted) >= 0);
      const expected = scanned < 0 ? rows.length : scanned;
      expect(lowerBoundRow(words, 0, words.length / ROW_WORDS, high, low, place)).toBe(expected);
    }
  });
});
