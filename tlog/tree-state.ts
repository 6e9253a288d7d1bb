import { concat, equal } from '../core/bytes/bytes.ts';
import { StorageError } from '../core/errors.ts';
import { TILE_WIDTH } from '../core/merkle/tile.ts';
import { EMPTY_ROOT, leafHash, type ReadNode } from '../core/merkle/tree.ts';
import type { CheckpointSigner } from './checkpoint-signer.ts';
import { corrupt, forked } from './faults.ts';
import type { Head, Store } from './store.ts';
import { HASH_BYTES, TILE_HEIGHT, TileNodes } from './tile-nodes.ts';
import { type Edge, EMPTY_EDGE, rootOfEdge, rootOfSize, tileOf } from './tree-edge.ts';

/** A committed tree as the memory knows it: one durable head and what is needed to extend it. Never changed once made. */
export interface TreeState {
  readonly head: Head;
  readonly rootHash: Uint8Array;
  readonly edge: Edge;
}

/** Full tiles with their inner nodes that are kept in memory for one tree, 16 KiB each. */
const CACHED_TILES = 256;

/** Full tiles of one tree, the most recently used ones in memory. Only durable tiles enter it. */
export interface TileCache {
  add(level: number, index: bigint, nodes: TileNodes): void;
  /** The tile if it is in memory. */
  get(level: number, index: bigint): TileNodes | undefined;
  /** The tile, from the store if need be. DATABASE_CORRUPT if it is absent or has the wrong size. */
  load(level: number, index: bigint): Promise<TileNodes>;
}

export function createTileCache(store: Store, tree: string): TileCache {
  const tiles = new Map<string, TileNodes>(); // in the order of use, the oldest first
  const keyOf = (level: number, index: bigint) => `${level}/${index}`;
  const keep = (key: string, nodes: TileNodes) => {
    tiles.delete(key);
    tiles.set(key, nodes);
    if (tiles.size > CACHED_TILES) tiles.delete(tiles.keys().next().value as string);
  };
  return {
    add: (level, index, nodes) => keep(keyOf(level, index), nodes),
    get(level, index) {
      const key = keyOf(level, index);
      const nodes = tiles.get(key);
      if (nodes) keep(key, nodes);
      return nodes;
    },
    async load(level, index) {
      const hashes = await store.tile(tree, level, index);
      if (hashes?.length !== TILE_WIDTH * HASH_BYTES) {
        throw corrupt(tree, `tile ${level}/${index} is ${hashes ? 'damaged' : 'missing'}`);
      }
      const nodes = TileNodes.from(hashes);
      keep(keyOf(level, index), nodes);
      return nodes;
    },
  };
}

/**
 * Calls `compute` with a reader of the tree's nodes. The reader is synchronous and answers a node of a tile that is not
 * in memory with zeros; then the tile is loaded and `compute` called once more. It must not have effects.
 */
export async function withNodes<T>(edge: Edge, cache: TileCache, compute: (readNode: ReadNode) => T): Promise<T> {
  const loaded = new Map<string, TileNodes>();
  // The last tile of each level, which is where the edge is.
  const last = edge.tiles.map((_, level) => edge.size >> BigInt(TILE_HEIGHT * (level + 1)));
  // The tile of each level that was read last: a proof reads many nodes of few tiles.
  const recent: { index: bigint; tile: TileNodes }[] = [];
  for (;;) {
    const missing = new Map<string, { level: number; index: bigint }>();
    const result = compute((level, index) => {
      const at = tileOf(level, index);
      const read = recent[at.level];
      if (read?.index === at.index) return read.tile.node(at.nodeLevel, at.node);
      const key = `${at.level}/${at.index}`;
      const ofEdge = at.index === last[at.level] ? edge.tiles[at.level] : undefined;
      const tile = ofEdge ?? loaded.get(key) ?? cache.get(at.level, at.index);
      if (tile) {
        recent[at.level] = { index: at.index, tile };
        return tile.node(at.nodeLevel, at.node);
      }
      missing.set(key, at);
      return EMPTY_ROOT;
    });
    if (missing.size === 0) return result;
    for (const [key, { level, index }] of missing) loaded.set(key, await cache.load(level, index));
  }
}

/** Root of the tree's first `size` leaves, 0 <= size <= treeSize. */
export async function rootAt(state: TreeState, cache: TileCache, size: bigint): Promise<Uint8Array> {
  return (await withNodes(state.edge, cache, (readNode) => rootOfSize(size, readNode))).slice();
}

/**
 * Reads a tree's committed state; a tree that was never committed to gets its first, empty head. The right edge is
 * computed from the stored leaves and tiles and has to give the root that the stored checkpoint signs.
 * Errors: LOG_FORKED if it does not, DATABASE_CORRUPT if parts are missing, LOG_HEAD_MOVED if another process writes.
 */
export async function loadTree(store: Store, tree: string, signer: CheckpointSigner): Promise<TreeState> {
  const head = (await store.head(tree)) ?? (await createTree(store, tree, signer));
  const rootHash = signer.open(head);
  const edge = await loadEdge(store, tree, head.treeSize);
  if (!equal(rootOfEdge(edge), rootHash)) {
    throw forked(tree, `its stored entries do not give the root that its checkpoint of size ${head.treeSize} signs`);
  }
  if ((await store.leaves(tree, head.treeSize, head.treeSize + 1n)).length > 0) {
    // Unless a commit came meanwhile: of another process, or the last one of a process that just died.
    if ((await store.head(tree))?.treeSize !== head.treeSize) {
      throw new StorageError('LOG_HEAD_MOVED', `another process is writing to the log ${tree}`, {
        hint: 'run one hallmark serve for each data directory',
      });
    }
    throw forked(tree, `it holds entries beyond its checkpoint of size ${head.treeSize}, so it was rolled back`);
  }
  return { head, rootHash, edge };
}

async function createTree(store: Store, tree: string, signer: CheckpointSigner): Promise<Head> {
  if ((await store.leaves(tree, 0n, 1n)).length > 0 && !(await store.head(tree)))
    throw forked(tree, 'it holds entries but no checkpoint');
  const head: Head = { treeSize: 0n, checkpoint: signer.sign(0n, EMPTY_ROOT) };
  await store.commit([{ tree, expected: undefined, head, time: new Date(0), leaves: [], tiles: [] }]);
  return head;
}

/**
 * The leaf hashes of committed entries start .. end-1, end to end: those of full tiles as they are stored, the rest from the
 * entries. DATABASE_CORRUPT if any of it is missing.
 */
export async function readLeafHashes(store: Store, tree: string, start: bigint, end: bigint): Promise<Uint8Array> {
  const width = BigInt(TILE_WIDTH);
  const parts: Uint8Array[] = [];
  for (let at = start; at < end; ) {
    const index = at / width;
    const first = index * width;
    const next = first + width < end ? first + width : end;
    // Read first: whether the tile is full is for the store to say.
    const tile = await store.tile(tree, 0, index);
    if (tile) parts.push(tile.subarray(Number(at - first) * HASH_BYTES, Number(next - first) * HASH_BYTES));
    else {
      const leaves = await store.leaves(tree, at, next);
      if (BigInt(leaves.length) !== next - at) throw corrupt(tree, `entries from ${at} to ${next} are incomplete`);
      parts.push(...leaves.map((leaf) => leafHash(leaf.body)));
    }
    at = next;
  }
  return concat(...parts);
}

/** Root of the first `size` entries of a stored tree; undefined if it has fewer. Errors: those of the store. */
export async function rootOfPrefix(
  store: Pick<Store, 'head' | 'leaves' | 'tile'>,
  tree: string,
  size: bigint,
): Promise<Uint8Array | undefined> {
  const head = await store.head(tree);
  return head && size <= head.treeSize ? rootOfEdge(await loadEdge(store, tree, size)) : undefined;
}

async function loadEdge(store: Pick<Store, 'leaves' | 'tile'>, tree: string, size: bigint): Promise<Edge> {
  if (size === 0n) return EMPTY_EDGE;
  const tiles: TileNodes[] = [];
  const first = (size / 256n) * 256n;
  const leaves = await store.leaves(tree, first, size);
  if (BigInt(leaves.length) !== size - first) throw corrupt(tree, `entries from ${first} to ${size} are incomplete`);
  const lowest = TileNodes.empty();
  for (const leaf of leaves) lowest.push(leafHash(leaf.body));
  tiles.push(lowest);
  // The last tile of each level above: its hashes are the roots of full tiles of the level below.
  for (let level = 1; size >> BigInt(TILE_HEIGHT * level) > 0n; level++) {
    const width = size >> BigInt(TILE_HEIGHT * level);
    const nodes = TileNodes.empty();
    for (let index = (width / 256n) * 256n; index < width; index++) {
      const hashes = await store.tile(tree, level - 1, index);
      if (hashes?.length !== TILE_WIDTH * HASH_BYTES) throw corrupt(tree, `tile ${level - 1}/${index} is missing`);
      nodes.push(TileNodes.from(hashes).node(TILE_HEIGHT, 0));
    }
    tiles.push(nodes);
  }
  return { size, tiles };
}
