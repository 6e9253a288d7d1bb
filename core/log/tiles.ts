import { ServiceError } from '../errors.ts';
import { type Http, type HttpRequest, joinUrl, readAnswer, request } from '../http/client.ts';
import { parseEntryBundle, TILE_WIDTH, type Tile, tilePath } from '../merkle/tile.ts';
import { consistencyProof, inclusionProof, nodeHash, type ReadNode } from '../merkle/tree.ts';

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
export const fetchInclusionProof = (http: Http, url: string, index: bigint, treeSize: bigint): Promise<Uint8Array[]> =>
  withTiles(http, url, treeSize, (readNode) => inclusionProof(index, treeSize, readNode));

/** The consistency proof from the tree of `first` leaves to that of `second`, in the same way. */
export const fetchConsistencyProof = (http: Http, url: string, first: bigint, second: bigint): Promise<Uint8Array[]> =>
  withTiles(http, url, second, (readNode) => consistencyProof(first, second, readNode));

/** Calls `compute` without hashes, to learn which tiles it is made of, and again with those tiles. */
async function withTiles<T>(http: Http, url: string, treeSize: bigint, compute: (readNode: ReadNode) => T): Promise<T> {
  const needed = new Map<string, Place>();
  compute((level, node) => {
    const place = placeOf(level, node);
    needed.set(keyOf(place), place);
    return new Uint8Array(HASH_BYTES);
  });
  const tiles = new Map(
    await Promise.all(
      [...needed].map(async ([key, place]) => [key, await fetchTile(http, url, place, treeSize)] as const),
    ),
  );
  return compute((level, node) => {
    const place = placeOf(level, node);
    const tile = tiles.get(keyOf(place));
    if (tile === undefined) throw new Error('internal: a tile that was not fetched');
    return subtreeRoot(tile, place.offset, place.span);
  });
}

/** The body of leaf `index` of the tree of `treeSize` leaves, from its entry bundle. Not verified. SERVICE_*. */
export async function fetchBody(http: Http, url: string, index: bigint, treeSize: bigint): Promise<Uint8Array> {
  const tile = index / BigInt(TILE_WIDTH);
  const left = treeSize - tile * BigInt(TILE_WIDTH);
  const width = left < BigInt(TILE_WIDTH) ? Number(left) : TILE_WIDTH;
  const { call, body } = await fetchWidth(http, url, 'entries', tile, width);
  const bodies = readAnswer(call, () => parseEntryBundle(body));
  const found = bodies[Number(index % BigInt(TILE_WIDTH))];
  if (found !== undefined) return found;
  throw new ServiceError('SERVICE_ANSWER_INVALID', `${SERVICE} at ${call.url} gave an entry bundle that is too short`);
}

async function fetchTile(http: Http, url: string, place: Place, treeSize: bigint): Promise<Uint8Array> {
  const { tileLevel, tileIndex } = place;
  const left = (treeSize >> BigInt(LEVELS * tileLevel)) - tileIndex * BigInt(TILE_WIDTH);
  const width = left < BigInt(TILE_WIDTH) ? Number(left) : TILE_WIDTH;
  const { call, body } = await fetchWidth(http, url, tileLevel, tileIndex, width);
  if (body.length < width * HASH_BYTES || body.length % HASH_BYTES !== 0) {
    throw new ServiceError('SERVICE_ANSWER_INVALID', `${SERVICE} at ${call.url} gave a tile of the wrong length`);
  }
  return body;
}

/** A tile of this width, or the full one: a log may drop a partial tile once the full one is there. */
async function fetchWidth(
  http: Http,
  url: string,
  level: Tile['level'],
  index: bigint,
  width: number,
): Promise<{ call: HttpRequest; body: Uint8Array }> {
  const callFor = (w: number): HttpRequest => ({
    service: SERVICE,
    method: 'GET',
    url: joinUrl(url, `/${tilePath(level, index, w)}`),
    timeoutMs: TIMEOUT_MS,
    accept: w === TILE_WIDTH ? [200] : [200, 404],
  });
  const call = callFor(width);
  const { status, body } = await request(http, call);
  if (status !== 404) return { call, body };
  const full = callFor(TILE_WIDTH);
  return { call: full, body: (await request(http, full)).body };
}

function subtreeRoot(tile: Uint8Array, offset: number, span: number): Uint8Array {
  if (span === 1) return tile.slice(offset * HASH_BYTES, (offset + 1) * HASH_BYTES);
  const half = span / 2;
  return nodeHash(subtreeRoot(tile, offset, half), subtreeRoot(tile, offset + half, half));
}
