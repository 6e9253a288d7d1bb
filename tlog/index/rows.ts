/**
 * Rows of an index: a 64-bit fingerprint of a key in two halves, and the place of an entry relative to where the segment
 * begins. They are kept end to end in one array of 32-bit numbers and sorted by all three.
 */
export const ROW_WORDS = 3;

/** A key's 64 bits as two unsigned 32-bit numbers, the more significant one first. */
export interface Fingerprint {
  readonly high: number;
  readonly low: number;
}

/** The first 64 bits of a hash. */
export function fingerprintOf(hash: Uint8Array): Fingerprint {
  return { high: word(hash, 0), low: word(hash, 4) };
}

const word = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)) >>>
  0;

// Radix passes over the low half and then the high one: digits of 11, 11 and 10 bits.
const PASSES = [
  { word: 1, shift: 0, mask: 0x7ff },
  { word: 1, shift: 11, mask: 0x7ff },
  { word: 1, shift: 22, mask: 0x3ff },
  { word: 0, shift: 0, mask: 0x7ff },
  { word: 0, shift: 11, mask: 0x7ff },
  { word: 0, shift: 22, mask: 0x3ff },
] as const;

/** Sorts rows that lie in the order of their places. The given array is used as scratch space; the answer may be it. */
export function sortRows(rows: Uint32Array): Uint32Array {
  let from = rows;
  let to: Uint32Array = new Uint32Array(rows.length);
  for (const { word, shift, mask } of PASSES) {
    const next = new Uint32Array(mask + 1);
    for (let at = word; at < from.length; at += ROW_WORDS) {
      const digit = ((from[at] as number) >>> shift) & mask;
      next[digit] = (next[digit] as number) + 1;
    }
    let sum = 0;
    for (let digit = 0; digit <= mask; digit++) {
      const count = next[digit] as number;
      next[digit] = sum;
      sum += count;
    }
    for (let at = 0; at < from.length; at += ROW_WORDS) {
      const digit = ((from[at + word] as number) >>> shift) & mask;
      const place = next[digit] as number;
      next[digit] = place + 1;
      to[place * ROW_WORDS] = from[at] as number;
      to[place * ROW_WORDS + 1] = from[at + 1] as number;
      to[place * ROW_WORDS + 2] = from[at + 2] as number;
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Negative, zero or positive, as the row at `at` (in words) sorts before, with or after these three numbers. */
export function compareRow(rows: Uint32Array, at: number, high: number, low: number, place: number): number {
  return (rows[at] as number) - high || (rows[at + 1] as number) - low || (rows[at + 2] as number) - place;
}

/** The first row from `start` to `end` (in rows) that is not before these three numbers; `end` if all are. */
export function lowerBoundRow(
  rows: Uint32Array,
  start: number,
  end: number,
  high: number,
  low: number,
  place: number,
): number {
  let first = start;
  let last = end;
  while (first < last) {
    const middle = (first + last) >>> 1;
    if (compareRow(rows, middle * ROW_WORDS, high, low, place) < 0) first = middle + 1;
    else last = middle;
  }
  return first;
}
