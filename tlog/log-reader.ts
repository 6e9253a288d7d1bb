import { TILE_WIDTH } from '../core/merkle/tile.ts';
import { consistencyProof, inclusionProof } from '../core/merkle/tree.ts';
import type { DuplicateIndex } from './duplicate-index.ts';
import type { Leaf, Store } from './store.ts';
import { tileWidth } from './tree-edge.ts';
import { rootAt, type TileCache, type TreeState, withNodes } from './tree-state.ts';

/** The newest published head of a log. */
interface LogHead {
  readonly treeSize: bigint;
  readonly rootHash: Uint8Array;
  /** The signed note. */
  readonly checkpoint: string;
}

/** Proof that an entry is in the tree of a head (RFC 6962 §2.1.1). */
export interface InclusionProof extends LogHead {
  readonly hashes: Uint8Array[];
}

/**
 * Reading of a log. Everything refers to what was durable and published when the call began; indexes, sizes and tiles
 * beyond it are absent. Arguments are not negative. Errors: the store's StorageErrors.
 */
export interface LogReader {
  head(): LogHead;
  entry(index: bigint): Promise<Leaf | undefined>;
  /** Entries start .. end-1, fewer at the end of the log. */
  entries(start: bigint, end: bigint): Promise<Leaf[]>;
  /** The lowest index of an entry with this leaf hash. */
  indexOf(leafHash: Uint8Array): Promise<bigint | undefined>;
  /** Proof of an entry in the newest tree. The index must be below its size. */
  proveInclusion(index: bigint): Promise<InclusionProof>;
  /** Audit path of an entry in the tree of `treeSize`; index < treeSize <= newest size. */
  inclusionPath(index: bigint, treeSize: bigint): Promise<Uint8Array[]>;
  /** Consistency proof (RFC 6962 §2.1.2), first <= second <= newest size; empty if first is 0 or equals second. */
  consistencyPath(first: bigint, second: bigint): Promise<Uint8Array[]>;
  /** Root of the tree of `treeSize` <= newest size. */
  rootAt(treeSize: bigint): Promise<Uint8Array>;
  /** The first `width` hashes of a tile, 1 to TILE_WIDTH; undefined if the tree has fewer. */
  tile(level: number, index: bigint, width: number): Promise<Uint8Array | undefined>;
}

export function createLogReader(options: {
  store: Store;
  tree: string;
  cache: TileCache;
  byLeafHash: DuplicateIndex;
  state: () => TreeState;
}): LogReader {
  const { store, tree, cache, byLeafHash } = options;
  const size = () => options.state().head.treeSize;

  async function entries(start: bigint, end: bigint): Promise<Leaf[]> {
    const last = size();
    return start < last ? store.leaves(tree, start, end < last ? end : last) : [];
  }

  async function inclusionPathIn(state: TreeState, index: bigint, treeSize: bigint): Promise<Uint8Array[]> {
    const path = await withNodes(state.edge, cache, (readNode) => inclusionProof(index, treeSize, readNode));
    return path.map((hash) => hash.slice());
  }

  return {
    head() {
      const { head, rootHash } = options.state();
      return { treeSize: head.treeSize, rootHash, checkpoint: head.checkpoint };
    },
    entries,
    async entry(index) {
      return (await entries(index, index + 1n))[0];
    },
    async indexOf(leafHash) {
      const last = size();
      const [index] = await byLeafHash.find([leafHash]);
      return index !== undefined && index < last ? index : undefined;
    },
    async proveInclusion(index) {
      const state = options.state();
      const { head, rootHash } = state;
      const hashes = await inclusionPathIn(state, index, head.treeSize);
      return { treeSize: head.treeSize, rootHash, checkpoint: head.checkpoint, hashes };
    },
    inclusionPath: (index, treeSize) => inclusionPathIn(options.state(), index, treeSize),
    async consistencyPath(first, second) {
      if (first === 0n || first === second) return [];
      const { edge } = options.state();
      const path = await withNodes(edge, cache, (readNode) => consistencyProof(first, second, readNode));
      return path.map((hash) => hash.slice());
    },
    rootAt: (treeSize) => rootAt(options.state(), cache, treeSize),
    async tile(level, index, width) {
      const { edge } = options.state();
      const held = tileWidth(edge.size, level, index);
      if (width < 1 || width > held) return undefined;
      if (held < TILE_WIDTH) return edge.tiles[level]?.hashes(width);
      return (cache.get(level, index) ?? (await cache.load(level, index))).hashes(width);
    },
  };
}
