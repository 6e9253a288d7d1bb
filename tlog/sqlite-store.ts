import { Database, SQLiteError, type SQLQueryBindings } from 'bun:sqlite';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { concat } from '../core/bytes/bytes.ts';
import { StorageError } from '../core/errors.ts';
import { createPrivateFile } from '../core/files.ts';
import { type Commit, type Head, IDENTITY_BYTES, type Store } from './store.ts';

const FILE_NAME = 'log.db';
/** `PRAGMA application_id`: "HMLG". */
const APPLICATION_ID = 0x484d_4c47;
/** `PRAGMA user_version`: version of the tables below. */
const FORMAT_VERSION = 2;
/** How long a commit waits for another process that reads or copies the database. */
const BUSY_TIMEOUT_MS = 5_000;
/** WAL pages (of 4 KiB) after which SQLite copies them into the database. */
const WAL_CHECKPOINT_PAGES = 4_000;

/**
 * The store in one SQLite database `log.db` (WAL, synchronous=FULL: the commit returns after fdatasync) in `directory`,
 * which must exist. Every call does its work before it returns its promise, so calls never overlap. The trees of
 * `established` have to be there already: a store that lost one is refused and left as it is.
 * Errors: DATABASE_CORRUPT, FILE_UNWRITABLE, LOCK_HELD.
 */
export function openSqliteStore(directory: string, established: readonly string[] = []): Store {
  const path = join(directory, FILE_NAME);
  // Before SQLite sees it: beside a database without content it would delete the write-ahead log.
  if (established.length > 0) requireContent(path);
  else createPrivateFile(path);
  const database = guard(path, () => open(path, established));
  const trees = new Map<string, TreeStatements>();

  const tree = (name: string): TreeStatements => {
    let statements = trees.get(name);
    if (!statements) {
      statements = prepareTree(database, name);
      trees.set(name, statements);
    }
    return statements;
  };
  const insertSetting = database.query('INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const selectSetting = database.query<{ value: string }, [string]>('SELECT value FROM setting WHERE name = ?');

  const once = (name: string, value: string): string => {
    insertSetting.run(name, value);
    return present(selectSetting.get(name)?.value);
  };

  const readHead = (name: string): Head | undefined => {
    const row = tree(name).head.get();
    return row ? { treeSize: row.size, checkpoint: row.checkpoint } : undefined;
  };

  const commit = database.transaction((changes: readonly Commit[]) => changes.forEach(extend));

  function extend({ tree: name, expected, head, time, leaves, tiles }: Commit): void {
    const stored = readHead(name);
    if (stored?.treeSize !== expected?.treeSize || stored?.checkpoint !== expected?.checkpoint) {
      throw new StorageError('LOG_HEAD_MOVED', `another process has written to the log ${name}`, {
        hint: 'run one hallmark serve for each data directory',
      });
    }
    const statements = tree(name);
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

  // Asynchronous by contract: failures arrive as rejections.
  const run = async <T>(action: () => T): Promise<T> => guard(path, action);
  return {
    once: (name, value) => run(() => once(name, value)),
    head: (name) => run(() => readHead(name)),
    commit: (changes) => run(() => commit.immediate(changes)),
    leaves: (name, start, end) =>
      run(() =>
        tree(name)
          .leaves.all(start, end)
          .map(({ body, time, extra }) => ({ body, time: new Date(Number(time)), extra: extra ?? undefined })),
      ),
    identities: (name, start, end) =>
      run(() =>
        concat(
          ...tree(name)
            .identities.all(start, end)
            .map((row) => row.identity),
        ),
      ),
    tile: (name, level, index) => run(() => tree(name).tile.get(tileId(level, index))?.hashes),
    close: () => run(() => database.close()),
  };
}

function requireContent(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw corrupt(path, 'it is missing');
  if (size === 0) throw corrupt(path, 'it is empty');
}

function open(path: string, established: readonly string[]): Database {
  // `log.db-wal` and `log.db-shm` get the mode of the database.
  const database = new Database(path, { readwrite: true, strict: true, safeIntegers: true });
  try {
    database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    const application = pragma(database, 'application_id');
    const empty = database.query<{ n: bigint }, []>('SELECT count(*) AS n FROM sqlite_schema').get()?.n === 0n;
    if (!empty && application !== BigInt(APPLICATION_ID)) throw corrupt(path, 'it is not a database of hallmark');
    if (!empty && pragma(database, 'user_version') !== BigInt(FORMAT_VERSION)) {
      throw corrupt(path, 'it was written by another version of hallmark');
    }
    for (const tree of established) {
      if (!hasHead(database, tree)) throw corrupt(path, `it does not hold the log ${tree}, which it once held`);
    }
    database.run('PRAGMA journal_mode = WAL');
    database.run('PRAGMA synchronous = FULL');
    database.run(`PRAGMA wal_autocheckpoint = ${WAL_CHECKPOINT_PAGES}`);
    if (empty) {
      database
        .transaction(() => {
          database.run('CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID');
          database.run(`PRAGMA application_id = ${APPLICATION_ID}`);
          database.run(`PRAGMA user_version = ${FORMAT_VERSION}`);
        })
        .immediate();
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function hasHead(database: Database, tree: string): boolean {
  const table = headTable(tree);
  const schema = database.query<unknown, [string]>("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
  return schema.get(table) !== null && database.query(`SELECT 1 FROM ${table}`).get() !== null;
}

function headTable(tree: string): string {
  if (!/^[a-z][a-z0-9]*$/.test(tree)) throw new Error(`internal: ${tree} cannot name a tree`);
  return `${tree}_head`;
}

type TreeStatements = ReturnType<typeof prepareTree>;

// One set of tables for each tree, so that the leaf index is the row ID and reads by index are one descent.
function prepareTree(database: Database, name: string) {
  const head = headTable(name);
  const leaf = `${name}_leaf`;
  const tile = `${name}_tile`;
  const identity = `${name}_identity`;
  database.run(
    `CREATE TABLE IF NOT EXISTS ${leaf} (leaf INTEGER PRIMARY KEY, body BLOB NOT NULL, time INTEGER NOT NULL, extra BLOB) STRICT`,
  );
  database.run(`CREATE TABLE IF NOT EXISTS ${tile} (tile INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT`);
  database.run(
    `CREATE TABLE IF NOT EXISTS ${identity} (leaf INTEGER PRIMARY KEY, identity BLOB NOT NULL CHECK (length(identity) = ${IDENTITY_BYTES})) STRICT`,
  );
  database.run(
    `CREATE TABLE IF NOT EXISTS ${head} (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, checkpoint TEXT NOT NULL) STRICT`,
  );
  const query = <Row, Parameters extends SQLQueryBindings[]>(sql: string) => database.query<Row, Parameters>(sql);
  return {
    head: query<{ size: bigint; checkpoint: string }, []>(`SELECT size, checkpoint FROM ${head}`),
    replaceHead: query(`INSERT OR REPLACE INTO ${head} (one, size, checkpoint) VALUES (1, ?, ?)`),
    insertLeaf: query(`INSERT INTO ${leaf} (leaf, body, time, extra) VALUES (?, ?, ?, ?)`),
    insertIdentity: query(`INSERT INTO ${identity} (leaf, identity) VALUES (?, ?)`),
    insertTile: query(`INSERT INTO ${tile} (tile, hashes) VALUES (?, ?)`),
    leaves: query<{ body: Uint8Array; time: bigint; extra: Uint8Array | null }, [bigint, bigint]>(
      `SELECT body, time, extra FROM ${leaf} WHERE leaf >= ? AND leaf < ? ORDER BY leaf`,
    ),
    tile: query<{ hashes: Uint8Array }, [bigint]>(`SELECT hashes FROM ${tile} WHERE tile = ?`),
    identities: query<{ identity: Uint8Array }, [bigint, bigint]>(
      `SELECT identity FROM ${identity} WHERE leaf >= ? AND leaf < ? ORDER BY leaf`,
    ),
  };
}

/** Where a tile lies in its table: the level above the bits of the index, so that each level is appended to. */
const TILE_INDEX_BITS = 56n;
const tileId = (level: number, index: bigint): bigint => (BigInt(level) << TILE_INDEX_BITS) | index;

function pragma(database: Database, name: string): bigint | undefined {
  const row = database.query<Record<string, bigint>, []>(`PRAGMA ${name}`).get();
  return row?.[name];
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('internal: a row that was just stored is absent');
  return value;
}

function corrupt(path: string, problem: string, cause?: unknown): StorageError {
  return new StorageError('DATABASE_CORRUPT', `the log database ${path} cannot be used: ${problem}`, {
    hint: 'restore it from a backup; deleting it would begin a new log that clients of the old one must not trust',
    cause,
  });
}

// Turns SQLite's result codes into the errors of the contract.
function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof SQLiteError)) {
      if (error instanceof Error && 'code' in error && error.code === 'SQLITE_CANTOPEN') {
        throw unwritable(path, error);
      }
      throw error;
    }
    const code = error.code ?? '';
    if (/^SQLITE_(?:CORRUPT|NOTADB|FORMAT|SCHEMA|ERROR|MISMATCH|CONSTRAINT)/.test(code)) {
      throw corrupt(path, error.message, error);
    }
    if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
      throw new StorageError('LOCK_HELD', `another process keeps the log database ${path} busy`, {
        hint: 'stop the other process that uses this data directory',
        cause: error,
      });
    }
    throw unwritable(path, error);
  }
}

function unwritable(path: string, cause: Error): StorageError {
  return new StorageError('FILE_UNWRITABLE', `the log database ${path} cannot be written: ${cause.message}`, {
    hint: 'check free space, owner and permissions of the data directory',
    cause,
  });
}
