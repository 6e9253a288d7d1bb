import { serializeHex } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { StorageError } from '../core/errors.ts';
import { type Commit, type Head, IDENTITY_BYTES, type Leaf, type Store } from './store.ts';

/**
 * Test only: what a memory store holds; it outlives the store, as a disk does. Laid out as another store than SQLite's might
 * be: a database for settings, heads and leaves, and objects for tiles, which know no transactions.
 */
export interface MemoryDisk {
  readonly settings: Map<string, string>;
  readonly trees: Map<string, MemoryTree>;
  /** Tiles under names that hold their hash: put before the commit that refers to them, never changed, never removed. */
  readonly objects: Map<string, Uint8Array>;
  /** Every head that was ever stored, for checks. */
  readonly history: { tree: string; head: Head }[];
}

interface MemoryTree {
  readonly head: Head | undefined;
  readonly leaves: readonly Leaf[];
  readonly identities: readonly Uint8Array[];
  /** Names of the objects that hold the full tiles, by `level/index`. */
  readonly tiles: ReadonlyMap<string, string>;
}

const NO_TREE: MemoryTree = { head: undefined, leaves: [], identities: [], tiles: new Map() };

export function createMemoryDisk(): MemoryDisk {
  return { settings: new Map(), trees: new Map(), objects: new Map(), history: [] };
}

/**
 * How a call fails: nothing of it happened; a commit died after its objects were put; or all of it happened and the caller
 * is told otherwise.
 */
export type Fault = 'lost' | 'halfway' | 'persisted';

export interface FaultyStore extends Store {
  /** Lets the `nth` coming call (1 is the next) of a method fail. */
  failCall(method: keyof Store, nth: number, fault: Fault): void;
  /** Calls of each method so far. */
  readonly calls: Map<keyof Store, number>;
}

/** Test only: a second implementation of the storage contract, in memory, truly asynchronous and with faults on demand. */
export function createMemoryStore(disk: MemoryDisk): FaultyStore {
  const faults = new Map<string, Fault>();
  const calls = new Map<keyof Store, number>();
  const treeOf = (name: string): MemoryTree => disk.trees.get(name) ?? NO_TREE;
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  async function call<T>(method: keyof Store, action: (halfway: boolean) => T | Promise<T>): Promise<T> {
    const count = (calls.get(method) ?? 0) + 1;
    calls.set(method, count);
    const fault = faults.get(`${method} ${count}`);
    await turn();
    const result = fault === 'lost' ? undefined : await action(fault === 'halfway');
    if (fault) throw new StorageError('FILE_UNWRITABLE', `${method} failed as the test wants it`);
    return result as T;
  }

  async function commit(changes: readonly Commit[], halfway: boolean): Promise<void> {
    const names = new Map<Commit, Map<string, string>>();
    for (const change of changes) {
      const tiles = new Map<string, string>();
      for (const { level, index, hashes } of change.tiles) {
        const name = `${change.tree}/${level}/${index}/${serializeHex(sha256(hashes))}`;
        disk.objects.set(name, hashes.slice());
        tiles.set(`${level}/${index}`, name);
        await turn();
      }
      names.set(change, tiles);
    }
    if (!halfway) transact(changes, names);
  }

  // In one turn: nobody sees a part of it.
  function transact(changes: readonly Commit[], names: ReadonlyMap<Commit, ReadonlyMap<string, string>>): void {
    for (const { tree, expected } of changes) {
      const { head } = treeOf(tree);
      if (head?.treeSize !== expected?.treeSize || head?.checkpoint !== expected?.checkpoint) {
        throw new StorageError('LOG_HEAD_MOVED', 'another writer was faster');
      }
    }
    for (const change of changes) {
      const { leaves, identities, tiles } = treeOf(change.tree);
      const time = new Date(change.time);
      disk.trees.set(change.tree, {
        head: change.head,
        leaves: [...leaves, ...change.leaves.map(({ body, extra }) => ({ body, extra, time }))],
        identities: [...identities, ...change.leaves.flatMap(({ identity }) => identity ?? [])],
        tiles: new Map([...tiles, ...(names.get(change) ?? [])]),
      });
      disk.history.push({ tree: change.tree, head: change.head });
    }
  }

  return {
    calls,
    failCall: (method, nth, fault) => void faults.set(`${method} ${(calls.get(method) ?? 0) + nth}`, fault),
    once: (name, value) =>
      call('once', () => {
        const stored = disk.settings.get(name) ?? value;
        disk.settings.set(name, stored);
        return stored;
      }),
    head: (tree) => call('head', () => treeOf(tree).head),
    commit: (changes) => call('commit', (halfway) => commit(changes, halfway)),
    leaves: (tree, start, end) => call('leaves', () => treeOf(tree).leaves.slice(Number(start), Number(end))),
    identities: (tree, start, end) =>
      call('identities', () => {
        const found = treeOf(tree).identities.slice(Number(start), Number(end));
        const packed = new Uint8Array(found.length * IDENTITY_BYTES);
        for (const [i, identity] of found.entries()) packed.set(identity, i * IDENTITY_BYTES);
        return packed;
      }),
    tile: (tree, level, index) =>
      call('tile', () => disk.objects.get(treeOf(tree).tiles.get(`${level}/${index}`) ?? '')?.slice()),
    close: () => call('close', () => {}),
  };
}
