import type { Database } from 'bun:sqlite';
import { StorageError } from '../core/errors.ts';
import { sameHead } from './packed-commit.ts';
import { createTree, guard, hasTree, listTrees, tableOf, tileId } from './sqlite-database.ts';
import { type HeadsFile, openHeadsFile } from './sqlite-heads.ts';
import type { Commit, Head } from './store.ts';

/** The writing half of the storage contract, synchronous, over a connection of its own: what the store's thread runs. */
export interface SqliteWriter {
  /** Durable when it returns, and written down as acknowledged. */
  commit(changes: readonly Commit[]): void;
  once(name: string, value: string): string;
  /** Copies what it can of the write-ahead log into the database. */
  checkpoint(): void;
  close(): void;
}

export function createSqliteWriter(database: Database, path: string): SqliteWriter {
  const trees = new Map<string, TreeStatements>();
  // Not of a writer that only copies the write-ahead log.
  let heads: HeadsFile | undefined;

  function openHeads(): HeadsFile {
    const opened = openHeadsFile(path);
    // What was acknowledged by a version that kept no such file.
    for (const name of listTrees(database)) {
      const row = prepareTree(database, name).head.get();
      if (row) opened.record(name, row.size);
    }
    return opened;
  }

  function tree(name: string): TreeStatements {
    const known = trees.get(name);
    if (known) return known;
    if (!hasTree(database, name)) createTree(database, name);
    return prepareTree(database, name);
  }

  function extend(change: Commit): void {
    const { tree: name, expected, head, time, leaves, tiles } = change;
    const statements = tree(name);
    const row = statements.head.get();
    const stored: Head | undefined = row ? { treeSize: row.size, checkpoint: row.checkpoint } : undefined;
    if (!sameHead(stored, expected)) {
      throw new StorageError('LOG_HEAD_MOVED', `another process has written to the log ${name}`, {
        hint: 'run one hallmark serve for each data directory',
      });
    }
    let index = expected?.treeSize ?? 0n;
    const milliseconds = BigInt(time.getTime());
    for (const { body, extra, identity } of leaves) {
      statements.insertLeaf.run(index, body, milliseconds, extra ?? null);
      if (identity) statements.insertIdentity.run(index, identity);
      index++;
    }
    if (index !== head.treeSize) throw new Error('internal: a commit with leaves that do not add up to its head');
    for (const tile of tiles) statements.insertTile.run(tileId(tile.level, tile.index), tile.hashes);
    statements.replaceHead.run(head.treeSize, head.checkpoint);
  }

  const transact = database.transaction((changes: readonly Commit[]) => changes.forEach(extend));
  const insertSetting = database.query('INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const selectSetting = database.query<{ value: string }, [string]>('SELECT value FROM setting WHERE name = ?');

  return {
    commit: (changes) =>
      guard(path, () => {
        transact.immediate(changes);
        // Only now are tables that it made there for good.
        heads ??= openHeads();
        for (const { tree: name, head } of changes) {
          if (!trees.has(name)) trees.set(name, prepareTree(database, name));
          heads.record(name, head.treeSize);
        }
      }),
    once: (name, value) =>
      guard(path, () => {
        insertSetting.run(name, value);
        const stored = selectSetting.get(name)?.value;
        if (stored === undefined) throw new Error('internal: a row that was just stored is absent');
        return stored;
      }),
    checkpoint: () => guard(path, () => void database.query('PRAGMA wal_checkpoint(PASSIVE)').get()),
    close() {
      heads?.sync();
      heads?.close();
      guard(path, () => database.close());
    },
  };
}

type TreeStatements = ReturnType<typeof prepareTree>;

function prepareTree(database: Database, name: string) {
  const insert = (table: string, columns: string) =>
    database.query(`INSERT INTO ${table} (${columns}) VALUES (${columns.replace(/\w+/g, '?')})`);
  const head = tableOf(name, 'head');
  return {
    head: database.query<{ size: bigint; checkpoint: string }, []>(`SELECT size, checkpoint FROM ${head}`),
    replaceHead: database.query(`INSERT OR REPLACE INTO ${head} (one, size, checkpoint) VALUES (1, ?, ?)`),
    insertLeaf: insert(tableOf(name, 'leaf'), 'leaf, body, time, extra'),
    insertIdentity: insert(tableOf(name, 'identity'), 'leaf, identity'),
    insertTile: insert(tableOf(name, 'tile'), 'tile, hashes'),
  };
}
