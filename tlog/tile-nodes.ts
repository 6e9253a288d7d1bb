import { TILE_WIDTH } from '../core/merkle/tile.ts';
import { nodeHash } from '../core/merkle/tree.ts';

/** Tree levels in one tile (C2SP tlog-tiles): a tile holds 2^8 = TILE_WIDTH hashes of its lowest level. */
export const TILE_HEIGHT = 8;
export const HASH_BYTES = 32;

// Where each level of the tile begins in the buffer, in hashes: 256 of level 0, 128 of level 1 ... 1 of level 8.
const LEVEL_START = [0, 256, 384, 448, 480, 496, 504, 508, 510] as const;
const NODES = 511;

/**
 * The hashes of one tile with every complete inner node above them, so that a proof reads nodes and computes none.
 * Grows by `push` until it is full.
 */
export class TileNodes {
  readonly #nodes: Uint8Array;
  #width: number;

  private constructor(nodes: Uint8Array, width: number) {
    this.#nodes = nodes;
    this.#width = width;
  }

  static empty(): TileNodes {
    return new TileNodes(new Uint8Array(NODES * HASH_BYTES), 0);
  }

  /** From a tile's content: up to TILE_WIDTH hashes. */
  static from(hashes: Uint8Array): TileNodes {
    const tile = TileNodes.empty();
    for (let at = 0; at < hashes.length; at += HASH_BYTES) tile.push(hashes.subarray(at, at + HASH_BYTES));
    return tile;
  }

  copy(): TileNodes {
    return new TileNodes(this.#nodes.slice(), this.#width);
  }

  /** Hashes held at the lowest level. */
  get width(): number {
    return this.#width;
  }

  get full(): boolean {
    return this.#width === TILE_WIDTH;
  }

  /** Adds the next hash of the lowest level and the inner nodes that it completes. */
  push(hash: Uint8Array): void {
    if (this.full) throw new Error('internal: push to a full tile');
    let index = this.#width++;
    this.#nodes.set(hash, index * HASH_BYTES);
    for (let level = 1; level <= TILE_HEIGHT && index % 2 === 1; level++) {
      const parent = nodeHash(this.node(level - 1, index - 1), this.node(level - 1, index));
      index >>= 1;
      this.#nodes.set(parent, ((LEVEL_START[level] as number) + index) * HASH_BYTES);
    }
  }

  /** A complete node: level 0 is the lowest, level 8 the root of a full tile. A view. */
  node(level: number, index: number): Uint8Array {
    if (index >= this.#width >> level) throw new Error('internal: a node that the tile does not hold');
    const at = ((LEVEL_START[level] as number) + index) * HASH_BYTES;
    return this.#nodes.subarray(at, at + HASH_BYTES);
  }

  /** The content of the tile cut to `width` hashes: a copy. */
  hashes(width = this.#width): Uint8Array {
    if (width > this.#width) throw new Error('internal: more hashes than the tile holds');
    return this.#nodes.slice(0, width * HASH_BYTES);
  }
}
