/**
 * The storage contract of the log engine. One store holds several trees, each under its own name (`v1`, `v2`, `ct`).
 *
 * Durability: a promise of `commit` or `once` that resolves means that everything in it survives the loss of power. A
 * commit is one transaction: after a crash all of it is there or nothing. A rejected promise says nothing about whether
 * the change was made; the caller asks `head` before it goes on.
 *
 * Concurrency: every method may be called at any time. `commit` is a compare-and-swap of the tree's head: it changes
 * nothing and fails with LOG_HEAD_MOVED unless the stored head is `expected`, so two writers cannot both extend the
 * same head. A read that starts after a commit resolved sees that commit.
 *
 * Absence: `undefined`, or an element of the answer that is undefined. Never an error.
 *
 * Immutability: leaves, tiles, keys and settings are only ever added; the head is the only thing that is replaced.
 *
 * Errors: StorageError. DATABASE_CORRUPT if what is stored cannot be read, LOCK_HELD if another process kept the
 * database busy, FILE_UNWRITABLE if the disk refuses.
 */
export interface Store {
  /** The setting `name`: stores `value` if there is none yet, and answers what is stored. Strings that never change. */
  once(name: string, value: string): Promise<string>;

  /** The newest committed head of a tree; undefined for a tree that was never committed to. */
  head(tree: string): Promise<Head | undefined>;

  /** Adds leaves, their keys and the tiles that became full, and replaces the head, all in one transaction. */
  commit(tree: string, commit: Commit): Promise<void>;

  /** Leaves start .. end-1 in order. Indexes at or above the tree's size are absent and shorten the answer. */
  leaves(tree: string, start: bigint, end: bigint): Promise<Leaf[]>;

  /** The hashes of a full tile (TILE_WIDTH x 32 bytes). */
  tile(tree: string, level: number, index: bigint): Promise<Uint8Array | undefined>;

  /** For each key the lowest leaf index stored under it. */
  find(tree: string, keys: readonly Uint8Array[]): Promise<(bigint | undefined)[]>;

  /** All leaf indexes stored under a key, ascending, at most `limit`. */
  search(tree: string, key: Uint8Array, limit: number): Promise<bigint[]>;

  /** Ends all use of the store. Commits that were started are finished first. */
  close(): Promise<void>;
}

/** A signed statement of a tree's size and root: all that the store compares is that both members are equal. */
export interface Head {
  readonly treeSize: bigint;
  /** The signed note that covers exactly this size. */
  readonly checkpoint: string;
}

/** One entry as it is stored. */
export interface Leaf {
  /** The bytes that the leaf hash is made of. */
  readonly body: Uint8Array;
  /** When the sequencer gave the entry its index, to the millisecond. */
  readonly time: Date;
  /** Bytes that belong to the entry but are not in the tree (CT: the certificate chain). */
  readonly extra: Uint8Array | undefined;
}

/** An entry to be stored: `keys` are the 32-byte hashes under which it shall be found. */
export interface NewLeaf extends Leaf {
  readonly keys: readonly Uint8Array[];
}

interface FullTile {
  readonly level: number;
  readonly index: bigint;
  readonly hashes: Uint8Array;
}

export interface Commit {
  /** The head that must be stored now; undefined for the first commit of a tree. */
  readonly expected: Head | undefined;
  readonly head: Head;
  /** The leaves expected.treeSize .. head.treeSize-1. */
  readonly leaves: readonly NewLeaf[];
  /** Every tile that is full at `head` and was not at `expected`. */
  readonly tiles: readonly FullTile[];
}
