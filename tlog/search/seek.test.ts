import { describe, expect, test } from 'bun:test';
import { intersect, seekAny, seekBits, seekPlaces } from './seek.ts';

const SIZE = 200;
const randomSet = (share: number): number[] =>
  Array.from({ length: SIZE }, (_, i) => i).filter(() => Math.random() < share);

function bitsOf(places: readonly number[]): Uint32Array {
  const bits = new Uint32Array(Math.ceil(SIZE / 32));
  for (const place of places) bits[place >>> 5] = bits[place >>> 5]! | (1 << (place & 31));
  return bits;
}

const highest = (places: readonly number[], max: number): number => places.findLast((place) => place <= max) ?? -1;

describe('a seeker', () => {
  test.each([0, 0.02, 0.5, 1])('finds the highest place up to another, of a share of %d', (share) => {
    const [some, more] = [randomSet(share), randomSet(share)];
    const both = [...new Set([...some, ...more])].sort((a, b) => a - b);
    for (let max = 0; max < SIZE + 70; max++) {
      expect(seekPlaces(some).seek(max)).toBe(highest(some, max));
      expect(seekBits(bitsOf(some)).seek(max)).toBe(highest(some, max));
      expect(seekAny([seekPlaces(some), seekBits(bitsOf(more))]).seek(max)).toBe(highest(both, max));
    }
  });
});

describe('intersect', () => {
  test('finds what is in all sets, from any place down, in pieces of any budget', () => {
    for (let round = 0; round < 100; round++) {
      const sets = Array.from({ length: 1 + (round % 4) }, () => randomSet(Math.random()));
      const max = Math.floor(Math.random() * SIZE);
      const limit = 1 + Math.floor(Math.random() * 20);
      const found: number[] = [];
      for (let at = max; at >= 0; ) {
        let inPiece = 0;
        const budget = { seeks: 1 + Math.floor(Math.random() * 30) };
        const rest = intersect(sets.map(seekPlaces), at, budget, (place) => {
          found.push(place);
          return ++inPiece < limit;
        });
        expect(rest).toBeLessThanOrEqual(at);
        expect(inPiece).toBeLessThanOrEqual(limit);
        at = rest;
        // A budget that is too small for one step of all would never end.
        if (budget.seeks <= 0 && inPiece === 0) sets.sort(() => Math.random() - 0.5);
      }
      const expected = sets.reduce((kept, set) => kept.filter((place) => set.includes(place)));
      expect(found).toEqual(expected.filter((place) => place <= max).reverse());
    }
  });
});
