import { EMPTY_ROOT, nodeHash, type ReadNode } from '../core/merkle/tree.ts';
import { TILE_HEIGHT, TileNodes } from './tile-nodes.ts';

/**
 * The right edge of a tree: for each tile level the last tile, which is not full (and may be empty). It is all that is
 * needed to append and to know the root. Never changed once made: `extend` makes a new one.
 */
export interface Edge {
  readonly size: bigint;
  readonly tiles: readonly TileNodes[];
}

export interface FilledTile {
  readonly level: number;
  readonly index: bigint;
  readonly nodes: TileNodes;
}

export const EMPTY_EDGE: Edge = { size: 0n, tiles: [] };

/** The edge after appending leaf hashes, and the tiles that became full on the way, lowest first within each leaf. */
export function extend(edge: Edge, leafHashes: readonly Uint8Array[]): { edge: Edge; filled: FilledTile[] } {
  const tiles = [...edge.tiles];
  const own = new Set<TileNodes>(); // made here; the others still belong to the edge that was given
  const filled: FilledTile[] = [];
  let size = edge.size;
  for (const leafHash of leafHashes) {
    let hash = leafHash;
    for (let level = 0; ; level++) {
      const last = tiles[level];
      const tile = !last ? TileNodes.empty() : own.has(last) ? last : last.copy();
      own.add(tile);
      tiles[level] = tile;
      tile.push(hash);
      if (!tile.full) break;
      filled.push({ level, index: size >> BigInt(TILE_HEIGHT * (level + 1)), nodes: tile });
      tiles[level] = TileNodes.empty();
      hash = tile.node(TILE_HEIGHT, 0);
    }
    size++;
  }
  return { edge: { size, tiles }, filled };
}

/** Where a node lies: the tile's level and index, and the node's level and index within the tile. */
export function tileOf(
  level: number,
  index: bigint,
): { level: number; index: bigint; nodeLevel: number; node: number } {
  const nodeLevel = level % TILE_HEIGHT;
  const bits = NODE_BITS[nodeLevel] as bigint;
  return {
    level: (level - nodeLevel) / TILE_HEIGHT,
    index: index >> bits,
    nodeLevel,
    node: Number(index & ((1n << bits) - 1n)),
  };
}

/** Bits of an index that tell the node within its tile, by the node's level there. */
const NODE_BITS = Array.from({ length: TILE_HEIGHT }, (_, nodeLevel) => BigInt(TILE_HEIGHT - nodeLevel));

/** Hashes that tile (level, index) holds in a tree of this size, 0 to TILE_WIDTH. */
export function tileWidth(size: bigint, level: number, index: bigint): number {
  const rest = (size >> BigInt(TILE_HEIGHT * level)) - (index << BigInt(TILE_HEIGHT));
  return rest <= 0n ? 0 : rest >= 256n ? 256 : Number(rest);
}

/** The edge's node, if it lies in one of the edge's tiles. */
function edgeNode(edge: Edge, level: number, index: bigint): Uint8Array | undefined {
  const at = tileOf(level, index);
  if (at.index !== edge.size >> BigInt(TILE_HEIGHT * (at.level + 1))) return undefined;
  return edge.tiles[at.level]?.node(at.nodeLevel, at.node);
}

/** Root of the first `size` leaves: the roots of its complete subtrees, folded from the right (RFC 6962 §2.1). */
export function rootOfSize(size: bigint, readNode: ReadNode): Uint8Array {
  let root: Uint8Array | undefined;
  for (let level = 0; size >> BigInt(level) > 0n; level++) {
    const nodes = size >> BigInt(level);
    if (nodes % 2n === 0n) continue;
    const subtree = readNode(level, nodes - 1n);
    root = root ? nodeHash(subtree, root) : subtree;
  }
  return root ?? EMPTY_ROOT;
}

export function rootOfEdge(edge: Edge): Uint8Array {
  return rootOfSize(edge.size, (level, index) => {
    const node = edgeNode(edge, level, index);
    if (!node) throw new Error('internal: the edge lacks a complete subtree');
    return node;
  }).slice();
}
