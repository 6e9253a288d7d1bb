import { StorageError } from '../core/errors.ts';

const RESTORE = 'restore the data directory from a backup that is not older than the last answer of the log';

/** What is stored of a log cannot be read, or is incomplete. */
export function corrupt(log: string, problem: string, cause?: unknown): StorageError {
  return new StorageError('DATABASE_CORRUPT', `the log ${log} cannot be used: ${problem}`, { hint: RESTORE, cause });
}

/** The log contradicts what it signed before: nothing may be appended to it any more. */
export function forked(log: string, problem: string): StorageError {
  return new StorageError('LOG_FORKED', `the log ${log} must not go on: ${problem}`, { hint: RESTORE });
}
