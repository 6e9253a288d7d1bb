import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { shellWord } from './bytes/printable.ts';
import { StorageError } from './errors.ts';
import { createPrivateFile, unwritable } from './files.ts';

/** A lock that is held until `release`, or until the process ends in whatever way. */
export interface Lock {
  release(): void;
}

// What holds each lock: collected as garbage, it would let go, whoever still relies on it.
const holding = new Set<import('bun:sqlite').Database>();

/**
 * Takes the lock that the file `path` stands for, waiting up to `waitMs` (the thread stands still) for another process
 * to let go; else LOCK_HELD. The lock is the operating system's (through SQLite, the same on every platform): it ends
 * with the process that holds it, however that ends, and can never be left behind. The empty file stays.
 */
export function acquireLock(path: string, waitMs = 0): Lock {
  createPrivateFile(path);
  const { Database } = require('bun:sqlite') as typeof import('bun:sqlite');
  let database: import('bun:sqlite').Database | undefined;
  try {
    const held = new Database(path, { readwrite: true });
    database = held;
    held.run(`PRAGMA busy_timeout = ${waitMs}`);
    // Nothing is ever written, so nothing needs a journal beside the file.
    held.run('PRAGMA journal_mode = MEMORY');
    held.run('BEGIN EXCLUSIVE');
    holding.add(held);
    return {
      release: () => {
        holding.delete(held);
        held.close();
      },
    };
  } catch (cause) {
    database?.close();
    if ((cause as { code?: string }).code !== 'SQLITE_BUSY') throw unlockable(path, cause);
    throw new StorageError('LOCK_HELD', `another process is using ${dirname(path)}`, {
      cause,
      hint: `let it finish, or find it with: fuser ${shellWord(path)}`,
    });
  }
}

/** Runs `task` while holding the lock `path`; what `acquireLock` says applies. */
export async function withLock<T>(path: string, task: () => T | Promise<T>, waitMs = 0): Promise<T> {
  const lock = acquireLock(path, waitMs);
  try {
    return await task();
  } finally {
    lock.release();
  }
}

// SQLite says only that it cannot open the file; why is asked of the file system.
function unlockable(path: string, cause: unknown): StorageError {
  try {
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    return unwritable(path, error);
  }
  return unwritable(path, cause);
}
