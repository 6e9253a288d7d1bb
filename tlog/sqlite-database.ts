import { Database, SQLiteError } from 'bun:sqlite';
import { statSync } from 'node:fs';
import { StorageError } from '../core/errors.ts';
import { createPrivateFile } from '../core/files.ts';
import { IDENTITY_BYTES } from './store.ts';

/** `PRAGMA application_id`: "HMLG". */
const APPLICATION_ID = 0x484d_4c47;
/** `PRAGMA user_version`: version of the tables below. */
const FORMAT_VERSION = 2;
/** How long a statement waits for another process that holds the database, as one that copies it may. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens the log's database and makes it if there is none. The trees of `established` have to be there already: a database
 * that lost one is refused and left as it is. With `existing` a database that is not there is refused, whatever it held.
 * Errors: DATABASE_CORRUPT, FILE_UNWRITABLE, LOCK_HELD.
 */
export function openDatabase(path: string, established: readonly string[], existing?: 'existing'): Database {
  // Before SQLite sees it: beside a database without content it would delete the write-ahead log.
  if (existing || established.length > 0) requireContent(path);
  else createPrivateFile(path);
  return guard(path, () => {
    const database = connect(path);
    try {
      const empty = requireFormat(database, path);
      for (const tree of established) {
        if (!hasHead(database, tree)) throw corrupt(path, `it does not hold the log ${tree}, which it once held`);
      }
      database.run('PRAGMA journal_mode = WAL');
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
  });
}

/**
 * One more connection to a database that exists. Commits return after fdatasync. The write-ahead log is copied into the
 * database only when it is asked for. `log.db-wal` and `log.db-shm` get the mode of the database.
 */
export function connect(path: string): Database {
  const database = new Database(path, { readwrite: true, strict: true, safeIntegers: true });
  database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  database.run('PRAGMA synchronous = FULL');
  database.run('PRAGMA wal_autocheckpoint = 0');
  return database;
}

function requireContent(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw corrupt(path, 'it is missing');
  if (size === 0) throw corrupt(path, 'it is empty');
}

/** True if the database is new. */
function requireFormat(database: Database, path: string): boolean {
  const application = pragma(database, 'application_id');
  const empty = database.query<{ n: bigint }, []>('SELECT count(*) AS n FROM sqlite_schema').get()?.n === 0n;
  if (!empty && application !== BigInt(APPLICATION_ID)) throw corrupt(path, 'it is not a database of hallmark');
  if (!empty && pragma(database, 'user_version') !== BigInt(FORMAT_VERSION)) {
    throw corrupt(path, 'it was written by another version of hallmark');
  }
  return empty;
}

function hasHead(database: Database, tree: string): boolean {
  return hasTree(database, tree) && database.query(`SELECT 1 FROM ${tableOf(tree, 'head')}`).get() !== null;
}

/** The trees that were ever committed to, in the order of their names. */
export function listTrees(database: Database): string[] {
  const tables = database
    .query<{ name: string }, []>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all();
  return tables.flatMap(({ name }) => (name.endsWith('_head') ? [name.slice(0, -'_head'.length)] : []));
}

/** True if the tables of a tree were made: they are, all at once, in its first commit. */
export function hasTree(database: Database, tree: string): boolean {
  const schema = database.query<unknown, [string]>("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
  return schema.get(tableOf(tree, 'head')) !== null;
}

/**
 * One set of tables for each tree, so that the leaf index is the row ID: an append goes to the end of each B-tree, and a
 * read by index is one descent. The table `identity` stays empty if the leaves of the tree have none of their own.
 */
export function createTree(database: Database, tree: string): void {
  const table = (name: TableName, columns: string): void =>
    void database.run(`CREATE TABLE ${tableOf(tree, name)} (${columns}) STRICT`);
  table('leaf', 'leaf INTEGER PRIMARY KEY, body BLOB NOT NULL, time INTEGER NOT NULL, extra BLOB');
  table('identity', `leaf INTEGER PRIMARY KEY, identity BLOB NOT NULL CHECK (length(identity) = ${IDENTITY_BYTES})`);
  table('tile', 'tile INTEGER PRIMARY KEY, hashes BLOB NOT NULL');
  table('head', 'one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, checkpoint TEXT NOT NULL');
}

type TableName = 'leaf' | 'identity' | 'tile' | 'head';

export function tableOf(tree: string, name: TableName): string {
  if (!/^[a-z][a-z0-9]*$/.test(tree)) throw new Error(`internal: ${tree} cannot name a tree`);
  return `${tree}_${name}`;
}

/** Row ID of a tile: the level above the bits of the index, so that each level is appended to. */
export const tileId = (level: number, index: bigint): bigint => (BigInt(level) << TILE_INDEX_BITS) | index;
const TILE_INDEX_BITS = 56n;

function pragma(database: Database, name: string): bigint | undefined {
  const row = database.query<Record<string, bigint>, []>(`PRAGMA ${name}`).get();
  return row?.[name];
}

function corrupt(path: string, problem: string, cause?: unknown): StorageError {
  return new StorageError('DATABASE_CORRUPT', `the log database ${path} cannot be used: ${problem}`, {
    hint: 'restore it from a backup; deleting it would begin a new log that clients of the old one must not trust',
    cause,
  });
}

/** Turns SQLite's result codes into the errors of the storage contract; `damaged` says what to do about a damaged database. */
export function guard<T>(path: string, action: () => T, damaged: typeof corrupt = corrupt): T {
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
      throw damaged(path, error.message, error);
    }
    if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
      throw new StorageError('LOCK_HELD', `another process keeps the database ${path} busy`, {
        hint: 'stop the other process that uses this data directory',
        cause: error,
      });
    }
    throw unwritable(path, error);
  }
}

function unwritable(path: string, cause: Error): StorageError {
  return new StorageError('FILE_UNWRITABLE', `the database ${path} cannot be written: ${cause.message}`, {
    hint: 'check free space, owner and permissions of the data directory',
    cause,
  });
}
