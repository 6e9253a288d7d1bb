import { serializeHex } from '../core/bytes/bytes.ts';
import { StorageError } from '../core/errors.ts';
import type { Commit, Head, NewLeaf, Store } from './store.ts';

/** Test only: what a memory store holds; it outlives the store, as a disk does. */
export interface MemoryDisk {
  readonly settings: Map<string, string>;
  readonly trees: Map<string, MemoryTree>;
  /** Every head that was ever stored, for checks. */
  readonly history: { tree: string; head: Head }[];
}

interface MemoryTree {
  head: Head | undefined;
  readonly leaves: NewLeaf[];
  readonly tiles: Map<string, Uint8Array>;
  readonly keys: Map<string, bigint[]>;
}

export function createMemoryDisk(): MemoryDisk {
  return { settings: new Map(), trees: new Map(), history: [] };
}

/** How a call fails: nothing of it happened, or all of it did and the caller is told otherwise. */
type Fault = 'lost' | 'persisted';

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
  const treeOf = (name: string) => {
    const tree: MemoryTree = disk.trees.get(name) ?? { head: undefined, leaves: [], tiles: new Map(), keys: new Map() };
    disk.trees.set(name, tree);
    return tree;
  };

  async function call<T>(method: keyof Store, action: () => T): Promise<T> {
    const count = (calls.get(method) ?? 0) + 1;
    calls.set(method, count);
    const fault = faults.get(`${method} ${count}`);
    await new Promise((resolve) => setImmediate(resolve));
    const result = fault === 'lost' ? undefined : action();
    if (fault) throw new StorageError('FILE_UNWRITABLE', `${method} failed as the test wants it`);
    return result as T;
  }

  function commit(name: string, { expected, head, leaves, tiles }: Commit): void {
    const tree = treeOf(name);
    if (tree.head?.treeSize !== expected?.treeSize || tree.head?.checkpoint !== expected?.checkpoint) {
      throw new StorageError('LOG_HEAD_MOVED', 'another writer was faster');
    }
    for (const leaf of leaves) {
      const index = BigInt(tree.leaves.push(leaf) - 1);
      for (const key of leaf.keys) {
        const name = serializeHex(key);
        tree.keys.set(name, [...(tree.keys.get(name) ?? []), index]);
      }
    }
    for (const tile of tiles) tree.tiles.set(`${tile.level}/${tile.index}`, tile.hashes);
    tree.head = head;
    disk.history.push({ tree: name, head });
  }

  const indexesOf = (name: string, key: Uint8Array) => treeOf(name).keys.get(serializeHex(key)) ?? [];

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
    commit: (tree, change) => call('commit', () => commit(tree, change)),
    leaves: (tree, start, end) => call('leaves', () => treeOf(tree).leaves.slice(Number(start), Number(end))),
    tile: (tree, level, index) => call('tile', () => treeOf(tree).tiles.get(`${level}/${index}`)),
    find: (tree, keys) => call('find', () => keys.map((key) => indexesOf(tree, key)[0])),
    search: (tree, key, limit) => call('search', () => indexesOf(tree, key).slice(0, limit)),
    close: () => call('close', () => {}),
  };
}
