import { ServiceError } from '../errors.ts';
import { type Http, type HttpRequest, joinUrl, request } from '../http/client.ts';
import { TILE_WIDTH, tilePath } from '../merkle/tile.ts';
import { inclusionProof, nodeHash } from '../merkle/tree.ts';

const SERVICE = 'the transparency log (Rekor v2)';
const TIMEOUT_MS = 15_000;
const HASH_BYTES = 32;
/** Tree levels that one tile spans: 2^8 hashes. */
const LEVELS = 8;

/** Where the hash of a complete subtree comes from: `span` hashes of a tile, from `offset` on. */
interface Place {
  readonly tileLevel: number;
  readonly tileIndex: bigint;
  readonly offset: number;
  readonly span: number;
}

function placeOf(level: number, index: bigint): Place {
  const tileLevel = Math.floor(level / LEVELS);
  const span = 1 << (level % LEVELS);
  const first = index * BigInt(span);
  return {
    tileLevel,
    tileIndex: first / BigInt(TILE_WIDTH),
    offset: Number(first % BigInt(TILE_WIDTH)),
    span,
  };
}

const keyOf = ({ tileLevel, tileIndex }: Place): string => `${tileLevel}/${tileIndex}`;

/**
 * The inclusion proof of leaf `index` in the tree of `treeSize` leaves, from the tiles below `url` (C2SP tlog-tiles). Not
 * verified. SERVICE_*.
 */
export async function fetchInclusionProof(
  http: Http,
  url: string,
  index: bigint,
  treeSize: bigint,
): Promise<Uint8Array[]> {
  // Once without hashes, to learn which tiles the proof is made of.
  const needed = new Map<string, Place>();
  inclusionProof(index, treeSize, (level, node) => {
    const place = placeOf(level, node);
    needed.set(keyOf(place), place);
    return new Uint8Array(HASH_BYTES);
  });
  const tiles = new Map(
    await Promise.all(
      [...needed].map(async ([key, place]) => [key, await fetchTile(http, url, place, treeSize)] as const),
    ),
  );
  return inclusionProof(index, treeSize, (level, node) => {
    const place = placeOf(level, node);
    const tile = tiles.get(keyOf(place));
    if (tile === undefined) throw new Error('internal: a tile that was not fetched');
    return subtreeRoot(tile, place.offset, place.span);
  });
}

async function fetchTile(http: Http, url: string, place: Place, treeSize: bigint): Promise<Uint8Array> {
  const { tileLevel, tileIndex } = place;
  const hashes = treeSize >> BigInt(LEVELS * tileLevel);
  const left = hashes - tileIndex * BigInt(TILE_WIDTH);
  const width = left < BigInt(TILE_WIDTH) ? Number(left) : TILE_WIDTH;
  const call = (w: number): HttpRequest => ({
    service: SERVICE,
    method: 'GET',
    url: joinUrl(url, `/${tilePath(tileLevel, tileIndex, w)}`),
    timeoutMs: TIMEOUT_MS,
    accept: w === TILE_WIDTH ? [200] : [200, 404],
  });
  const partial = await request(http, call(width));
  // A log may drop a partial tile once the full one is there.
  const { body } = partial.status === 404 ? await request(http, call(TILE_WIDTH)) : partial;
  if (body.length < width * HASH_BYTES || body.length % HASH_BYTES !== 0) {
    throw new ServiceError(
      'SERVICE_ANSWER_INVALID',
      `${SERVICE} at ${call(width).url} gave a tile of the wrong length`,
    );
  }
  return body;
}

function subtreeRoot(tile: Uint8Array, offset: number, span: number): Uint8Array {
  if (span === 1) return tile.slice(offset * HASH_BYTES, (offset + 1) * HASH_BYTES);
  const half = span / 2;
  return nodeHash(subtreeRoot(tile, offset, half), subtreeRoot(tile, offset + half, half));
}
