/**
 * The storage contract of the log engine. One store holds several trees, each under its own name (`v1`, `v2`, `ct`).
 *
 * Durability: a promise of `commit` or `once` that resolves means that everything in it survives the loss of power. A
 * commit is all or nothing, over all its trees, also after a crash. A rejected promise says nothing about whether the
 * change was made; the caller asks `head` before it goes on.
 *
 * Concurrency: every method may be called at any time, a second `commit` while one is under way included; which of them
 * is first is not said. `commit` is a compare-and-swap of the heads: it changes nothing and fails with LOG_HEAD_MOVED
 * unless the stored head of every tree in it is `expected`, so two writers cannot both extend the same head. A read that
 * starts after a commit resolved sees that commit; one that overlaps it sees it whole or not at all.
 *
 * Absence: `undefined`, or an answer that is shorter than what was asked for. Never an error.
 *
 * Immutability: leaves, tiles and settings are only ever added; the head is the only thing that is replaced. What is given
 * to a method belongs to the store until the promise settles, and the caller does not change it; an answer is the caller's.
 *
 * Order: leaves are appended, and read in runs of neighbours; nothing here is found by a key in random order. Indexes by
 * hash and for search are built beside the store from what it holds (duplicate-index.ts), so that a commit costs the same
 * at any size.
 *
 * What can stand behind it: one SQLite database (sqlite-store.ts), or a database for heads and leaves with an object store
 * for tiles: tiles are put first, under names that hold their content, and the transaction of the commit refers to them,
 * so that what a failed commit left behind is never read (testing-store.ts does so).
 *
 * Errors: StorageError. DATABASE_CORRUPT if what is stored cannot be read, LOCK_HELD if another process kept the
 * database busy, FILE_UNWRITABLE if the disk refuses.
 */
export interface Store {
  /** The setting `name`: stores `value` if there is none yet, and answers what is stored. Strings that never change. */
  once(name: string, value: string): Promise<string>;

  /** The newest committed head of a tree; undefined for a tree that was never committed to. */
  head(tree: string): Promise<Head | undefined>;

  /** Extends one tree or several, each once: adds their leaves and full tiles and replaces their heads, as one. */
  commit(changes: readonly Commit[]): Promise<void>;

  /** Leaves start .. end-1 in order. Indexes at or above the tree's size are absent and shorten the answer. */
  leaves(tree: string, start: bigint, end: bigint): Promise<Leaf[]>;

  /**
   * The identities of leaves start .. end-1 end to end, IDENTITY_BYTES each. Cheap, as it reads no bodies. Absent for leaves
   * at or above the tree's size and for a tree whose leaves were given none.
   */
  identities(tree: string, start: bigint, end: bigint): Promise<Uint8Array>;

  /** The hashes of a full tile (TILE_WIDTH x 32 bytes). */
  tile(tree: string, level: number, index: bigint): Promise<Uint8Array | undefined>;

  /** Ends all use of the store. Commits that were started are finished first. */
  close(): Promise<void>;
}

export const IDENTITY_BYTES = 32;

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
  /** Bytes that belong to the entry but are not in the tree (CT: the certificate chain; v1: what it is searched by). */
  readonly extra: Uint8Array | undefined;
}

/** An entry to be stored. */
export interface NewLeaf {
  readonly body: Uint8Array;
  readonly extra: Uint8Array | undefined;
  /** IDENTITY_BYTES that are equal for two entries that shall be one. All leaves of a tree have one or none has. */
  readonly identity: Uint8Array | undefined;
}

interface FullTile {
  readonly level: number;
  readonly index: bigint;
  readonly hashes: Uint8Array;
}

/** How a commit extends one tree. */
export interface Commit {
  readonly tree: string;
  /** The head that must be stored now; undefined for the first commit of a tree. */
  readonly expected: Head | undefined;
  readonly head: Head;
  /** The time of all these leaves. */
  readonly time: Date;
  /** The leaves expected.treeSize .. head.treeSize-1. */
  readonly leaves: readonly NewLeaf[];
  /** Every tile that is full at `head` and was not at `expected`. */
  readonly tiles: readonly FullTile[];
}
