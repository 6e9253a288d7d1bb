import { describe, expect, test } from 'bun:test';
import { concat } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';
import { MAX_TILE_ENTRY_BYTES } from '../limits.ts';
import { parseEntryBundle, parseTilePath, serializeEntryBundle, TILE_WIDTH, tilePath } from './tile.ts';

describe('tile paths', () => {
  test('the example of C2SP tlog-tiles', () => expect(tilePath(0, 1234067n, 256)).toBe('tile/0/x001/x234/067'));
  test('partial tiles and entry bundles', () => {
    expect(tilePath(1, 0n, 5)).toBe('tile/1/000.p/5');
    expect(tilePath('entries', 1000n, 255)).toBe('tile/entries/x001/000.p/255');
  });
  test('parse is the inverse', () => {
    const indexes = [0n, 1n, 999n, 1000n, 999_999n, 1_000_000n, 1234067n, 2n ** 55n, 2n ** 63n - 1n];
    for (const level of ['entries', 0, 1, 7, 10, 63] as const)
      for (const index of indexes)
        for (const width of [1, 2, 99, 255, TILE_WIDTH])
          expect(parseTilePath(tilePath(level, index, width))).toEqual({ level, index, width });
  });
  for (const [flaw, path] of [
    ['an empty path', ''],
    ['a leading slash', '/tile/0/000'],
    ['another root', 'tiles/0/000'],
    ['the parent folder', 'tile/0/../000'],
    ['a file of the checkpoint', 'checkpoint'],
    ['a level with a leading zero', 'tile/00/000'],
    ['a level above 63', 'tile/64/000'],
    ['a negative level', 'tile/-1/000'],
    ['no index', 'tile/0/'],
    ['an index of two digits', 'tile/0/00'],
    ['an index of four digits', 'tile/0/0000'],
    ['a last group with an x', 'tile/0/x000'],
    ['a first group without an x', 'tile/0/001/234'],
    ['a needless group of zeros', 'tile/0/x000/001'],
    ['an index above 2^63 - 1', 'tile/0/x009/x223/x372/x036/x854/x775/808'],
    ['an index of eight groups', 'tile/0/x001/x001/x001/x001/x001/x001/x001/001'],
    ['a width of 0', 'tile/0/000.p/0'],
    ['a width of 256', 'tile/0/000.p/256'],
    ['a width with a leading zero', 'tile/0/000.p/05'],
    ['a width of 999', 'tile/0/000.p/999'],
    ['a trailing slash', 'tile/0/000/'],
    ['a line feed', 'tile/0/000\n'],
    ['other digits', 'tile/0/٠٠٠'],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(parseTilePath(path)).toBeUndefined());
  }
});

describe('entry bundles', () => {
  const body = (length: number) => new Uint8Array(length).fill(length & 0xff);
  test('round trip', () => {
    const bodies = [0, 1, 255, 256, MAX_TILE_ENTRY_BYTES].map(body);
    expect(parseEntryBundle(serializeEntryBundle(bodies))).toEqual(bodies);
  });
  test('two bytes of length, big-endian', () =>
    expect(serializeEntryBundle([body(258)]).subarray(0, 3)).toEqual(Uint8Array.of(1, 2, 2)));
  for (const [flaw, bundle] of [
    ['no entries', new Uint8Array()],
    ['half of a length', Uint8Array.of(0)],
    ['a truncated entry', Uint8Array.of(0, 2, 1)],
    ['half of a length at the end', concat(serializeEntryBundle([body(3)]), Uint8Array.of(0))],
    ['more than 256 entries', new Uint8Array(2 * (TILE_WIDTH + 1))],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(() => parseEntryBundle(bundle)).toThrow(InputError));
  }
  test('a body too long to be written is a fault of the caller', () =>
    expect(() => serializeEntryBundle([body(MAX_TILE_ENTRY_BYTES + 1)])).toThrow('internal'));
});
