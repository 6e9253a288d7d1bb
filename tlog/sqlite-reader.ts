import type { Database } from 'bun:sqlite';
import { concat } from '../core/bytes/bytes.ts';
import { guard, hasTree, tableOf, tileId } from './sqlite-database.ts';
import type { Store } from './store.ts';

/**
 * The reading half of the storage contract over a connection of its own. A read in WAL mode waits for no commit and takes
 * some microseconds from the page cache, less than a message to another thread, so it runs on the thread that asks.
 */
export function createSqliteReader(database: Database, path: string): Omit<Store, 'once' | 'commit' | 'close'> {
  const trees = new Map<string, TreeStatements>();

  /** Undefined for a tree that was never committed to. */
  function tree(name: string): TreeStatements | undefined {
    const known = trees.get(name);
    if (known) return known;
    if (!hasTree(database, name)) return undefined;
    const statements = prepareTree(database, name);
    trees.set(name, statements);
    return statements;
  }

  // Asynchronous by contract: failures arrive as rejections.
  const run = async <T>(action: () => T): Promise<T> => guard(path, action);
  return {
    head: (name) =>
      run(() => {
        const row = tree(name)?.head.get();
        return row ? { treeSize: row.size, checkpoint: row.checkpoint } : undefined;
      }),
    leaves: (name, start, end) =>
      run(() => {
        const rows = tree(name)?.leaves.all(start, end) ?? [];
        return rows.map(({ body, time, extra }) => ({ body, time: new Date(Number(time)), extra: extra ?? undefined }));
      }),
    identities: (name, start, end) =>
      run(() => concat(...(tree(name)?.identities.all(start, end) ?? []).map((row) => row.identity))),
    tile: (name, level, index) => run(() => tree(name)?.tile.get(tileId(level, index))?.hashes),
  };
}

type TreeStatements = ReturnType<typeof prepareTree>;

function prepareTree(database: Database, name: string) {
  const inOrder = (columns: string, table: string): string =>
    `SELECT ${columns} FROM ${table} WHERE leaf >= ? AND leaf < ? ORDER BY leaf`;
  return {
    head: database.query<{ size: bigint; checkpoint: string }, []>(
      `SELECT size, checkpoint FROM ${tableOf(name, 'head')}`,
    ),
    leaves: database.query<{ body: Uint8Array; time: bigint; extra: Uint8Array | null }, [bigint, bigint]>(
      inOrder('body, time, extra', tableOf(name, 'leaf')),
    ),
    identities: database.query<{ identity: Uint8Array }, [bigint, bigint]>(
      inOrder('identity', tableOf(name, 'identity')),
    ),
    tile: database.query<{ hashes: Uint8Array }, [bigint]>(
      `SELECT hashes FROM ${tableOf(name, 'tile')} WHERE tile = ?`,
    ),
  };
}
