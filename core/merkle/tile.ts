import { concat } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';
import { MAX_LOG_SIZE, MAX_TILE_ENTRY_BYTES } from '../limits.ts';

/** Hashes of a full tile, and entries of a full entry bundle. */
export const TILE_WIDTH = 256;

/** A tile: hashes of a tree level (8 * level), or the bodies of the leaves. `width` is 1 to TILE_WIDTH, the last if full. */
export interface Tile {
  readonly level: number | 'entries';
  readonly index: bigint;
  readonly width: number;
}

/** Tile levels of a tree of MAX_LOG_SIZE leaves: 64 tree levels in eights. C2SP allows up to 63. */
const MAX_TILE_LEVEL = 63;
const INDEX = /^(?:x[0-9]{3}\/){0,6}[0-9]{3}$/;
const PATH = /^tile\/(entries|0|[1-9][0-9]?)\/([x0-9/]{3,40})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** Path below a log's prefix (C2SP tlog-tiles): `tile/0/x001/x234/067`, `tile/entries/000.p/5`. */
export function tilePath(level: Tile['level'], index: bigint, width: number): string {
  const digits = index.toString();
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) as string[];
  const last = groups.pop() as string;
  const partial = width === TILE_WIDTH ? '' : `.p/${width}`;
  return `tile/${level}/${groups.map((group) => `x${group}/`).join('')}${last}${partial}`;
}

/** The tile of a path, the inverse of `tilePath`: undefined for every other text. */
export function parseTilePath(path: string): Tile | undefined {
  const match = PATH.exec(path);
  if (match === null) return undefined;
  const [, level, digits = '', partial] = match;
  if (!INDEX.test(digits)) return undefined;
  const tile: Tile = {
    level: level === 'entries' ? level : Number(level),
    index: BigInt(digits.replaceAll(/[x/]/g, '')),
    width: partial === undefined ? TILE_WIDTH : Number(partial),
  };
  if (tile.level !== 'entries' && tile.level > MAX_TILE_LEVEL) return undefined;
  if (tile.index > MAX_LOG_SIZE || tile.width > TILE_WIDTH) return undefined;
  // One spelling only: no leading group of zeros, no `.p/256`.
  return tilePath(tile.level, tile.index, tile.width) === path ? tile : undefined;
}

/** An entry bundle: each body after its length in two bytes, big-endian (C2SP tlog-tiles). */
export function serializeEntryBundle(bodies: readonly Uint8Array[]): Uint8Array {
  return concat(
    ...bodies.flatMap((body) => {
      if (body.length > MAX_TILE_ENTRY_BYTES) throw new Error('internal: a body too long for an entry bundle');
      return [Uint8Array.of(body.length >> 8, body.length & 0xff), body];
    }),
  );
}

/**
 * The bodies of an entry bundle, 1 to TILE_WIDTH; views. ENCODING_INVALID
 */
export function parseEntryBundle(bundle: Uint8Array): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  for (let at = 0; at < bundle.length; ) {
    const [high, low] = bundle.subarray(at, at + 2);
    if (high === undefined || low === undefined) throw invalid('truncated length');
    const end = at + 2 + high * 256 + low;
    if (end > bundle.length) throw invalid('truncated entry');
    if (bodies.length === TILE_WIDTH) throw invalid(`more than ${TILE_WIDTH} entries`);
    bodies.push(bundle.subarray(at + 2, end));
    at = end;
  }
  if (bodies.length === 0) throw invalid('no entries');
  return bodies;
}

const invalid = (problem: string): InputError => new InputError('ENCODING_INVALID', `not an entry bundle: ${problem}`);
