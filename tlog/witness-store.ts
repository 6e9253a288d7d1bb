import { Database } from 'bun:sqlite';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { StorageError } from '../core/errors.ts';
import { createPrivateFile } from '../core/files.ts';
import { guard } from './sqlite-database.ts';

/**
 * What a witness must never forget: for each log the newest checkpoint that it cosigned.
 *
 * Durability: a change is on stable storage when its promise resolves. A rejected promise says nothing about whether it was
 * made; the caller asks `latest` before it goes on. Errors: StorageError.
 */
export interface WitnessStore {
  /** The newest checkpoint cosigned for a log, as a signed note; undefined if there never was one. */
  latest(origin: string): Promise<string | undefined>;
  /** Compare-and-swap: stores `next` and answers true if the newest one is `expected`, else changes nothing. */
  replace(origin: string, expected: string | undefined, next: string): Promise<boolean>;
  close(): Promise<void>;
}

const FILE_NAME = 'witness.db';
/** `PRAGMA application_id`: "HMWI". */
const APPLICATION_ID = 0x484d_5749;
const FORMAT_VERSION = 1;
const RESTORE =
  'a witness that forgets what it cosigned could cosign a fork: never go back to a backup, make a witness with a new key instead';

/**
 * The store in one SQLite database `witness.db` (synchronous=FULL) in `directory`, which must exist. With `established` the
 * database has to be there already. DATABASE_CORRUPT, FILE_UNWRITABLE, LOCK_HELD.
 */
export function openWitnessStore(directory: string, established: boolean): WitnessStore {
  const path = join(directory, FILE_NAME);
  if (established && !(statSync(path, { throwIfNoEntry: false })?.size ?? 0))
    throw damaged(path, 'it is missing or empty');
  if (!established) createPrivateFile(path);
  const database = guard(path, () => open(path, established), damaged);
  const select = database.query<{ note: string }, [string]>('SELECT note FROM checkpoint WHERE origin = ?');
  const insert = database.query('INSERT INTO checkpoint (origin, note) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const update = database.query('UPDATE checkpoint SET note = ? WHERE origin = ? AND note = ?');
  // Asynchronous by contract: failures arrive as rejections. Each call is one transaction of its own.
  const run = async <T>(action: () => T): Promise<T> => guard(path, action, damaged);
  return {
    latest: (origin) => run(() => select.get(origin)?.note),
    replace: (origin, expected, next) =>
      run(() => {
        const { changes } = expected === undefined ? insert.run(origin, next) : update.run(next, origin, expected);
        return changes === 1;
      }),
    close: () => run(() => database.close()),
  };
}

function open(path: string, established: boolean): Database {
  const database = new Database(path, { readwrite: true, strict: true });
  try {
    database.run('PRAGMA busy_timeout = 5000');
    const pragma = (name: string): number | undefined =>
      database.query<Record<string, number>, []>(`PRAGMA ${name}`).get()?.[name];
    const isNew = pragma('application_id') === 0 && !established;
    if (!isNew && pragma('application_id') !== APPLICATION_ID) throw damaged(path, 'it is not a database of a witness');
    if (!isNew && pragma('user_version') !== FORMAT_VERSION)
      throw damaged(path, 'another version of hallmark wrote it');
    if (!isNew && !established && database.query('SELECT 1 FROM checkpoint LIMIT 1').get() !== null) {
      throw damaged(path, 'it holds what a key cosigned that is no longer there');
    }
    database.run('PRAGMA journal_mode = WAL');
    database.run('PRAGMA synchronous = FULL');
    if (isNew) {
      database
        .transaction(() => {
          database.run('CREATE TABLE checkpoint (origin TEXT PRIMARY KEY, note TEXT NOT NULL) STRICT, WITHOUT ROWID');
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

const damaged = (path: string, problem: string, cause?: unknown): StorageError =>
  new StorageError('DATABASE_CORRUPT', `the database ${path} cannot be used: ${problem}`, { hint: RESTORE, cause });
