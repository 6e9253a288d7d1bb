import { randomUUID } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { concat } from './bytes/bytes.ts';
import { shellWord } from './bytes/printable.ts';
import { HallmarkError, InputError, StorageError } from './errors.ts';

/** Bytes asked for by one read. */
const READ_CHUNK_BYTES = 64 * 1024;
/** Of a file that is larger, these are looked at first where somebody asks. */
const BEGINNING_BYTES = 2 * 1024 * 1024;

/**
 * Reads a whole file of at most `max` bytes; `what` names it in errors ("bundle"). INPUT_MISSING, INPUT_UNREADABLE or
 * INPUT_TOO_LARGE, each with its remedy; `ifMissing` is what else helps where there is no such file. Works on pipes, whose
 * size nobody knows beforehand. Of a large file `requireBeginning` sees the first bytes before the rest is read, and may throw.
 */
export function readFileBounded(
  path: string,
  max: number,
  what: string,
  ifMissing?: string,
  requireBeginning?: (bytes: Uint8Array) => void,
): Uint8Array {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw unreadable(path, what, cause, ifMissing);
  }
  try {
    return readAll(fd, max, `${what} ${path}`, requireBeginning);
  } catch (cause) {
    throw cause instanceof HallmarkError ? cause : unreadable(path, what, cause, ifMissing);
  } finally {
    closeSync(fd);
  }
}

/** Reads standard input to its end, at most `max` bytes; the errors are those of `readFileBounded`. */
export function readStdinBounded(max: number, what: string): Uint8Array {
  try {
    return readAll(0, max, `${what} on standard input`);
  } catch (cause) {
    throw cause instanceof HallmarkError ? cause : unreadable('standard input', what, cause);
  }
}

function readAll(fd: number, max: number, what: string, requireBeginning?: (bytes: Uint8Array) => void): Uint8Array {
  const chunks: Uint8Array[] = [];
  // A file fits into the first chunk, with a byte to spare that shows its end.
  const { size } = fstatSync(fd);
  let chunk = new Uint8Array(Math.min(size === 0 ? READ_CHUNK_BYTES : size + 1, max + 1));
  let filled = 0;
  if (requireBeginning !== undefined && size > BEGINNING_BYTES) {
    filled = readSome(fd, chunk.subarray(0, BEGINNING_BYTES));
    requireBeginning(chunk.subarray(0, filled));
  }
  for (let length = filled; ; ) {
    if (filled === chunk.length) {
      chunks.push(chunk);
      chunk = new Uint8Array(Math.min(READ_CHUNK_BYTES, max + 1 - length));
      filled = 0;
    }
    const read = readSome(fd, chunk.subarray(filled));
    // A whole file is not copied.
    if (read === 0)
      return chunks.length === 0 ? chunk.subarray(0, filled) : concat(...chunks, chunk.subarray(0, filled));
    filled += read;
    length += read;
    if (length > max) {
      throw new InputError('INPUT_TOO_LARGE', `${what} is larger than ${max} bytes`, {
        hint: 'is it the right file? Nothing of that kind is so large',
      });
    }
  }
}

/**
 * Reads up to the buffer's length, and returns how much that was; 0 at the end. Waits for a terminal or pipe that another
 * process set to non-blocking. Throws the system's error.
 */
export function readSome(fd: number, into: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, into);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function unreadable(path: string, what: string, cause: unknown, ifMissing?: string): InputError {
  const { code, message } = cause as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new InputError('INPUT_MISSING', `${what} ${path} does not exist`, {
        cause,
        hint: [whereLooked(path), ifMissing].filter((line) => line !== undefined).join('\n'),
      });
    case 'EACCES':
    case 'EPERM':
      return new InputError('INPUT_UNREADABLE', `no permission to read ${what} ${path}`, {
        cause,
        hint: `ls -l ${shellWord(path)}`,
      });
    case 'EISDIR':
      return new InputError('INPUT_UNREADABLE', `${what} ${path} is a folder`, {
        cause,
        hint: 'name a file inside it',
      });
    default:
      return new InputError('INPUT_UNREADABLE', `${what} ${path} cannot be read: ${message}`, {
        cause,
        hint: `cat ${shellWord(path)} > /dev/null`,
      });
  }
}

/** What is there instead of the file that was looked for: a name much like it, or none in the folder that was meant. */
function whereLooked(path: string): string {
  const folder = dirname(path);
  try {
    const names = readdirSync(folder);
    const meant = names.find((name) => isMuchLike(name, basename(path)));
    if (meant !== undefined) return `did you mean ${join(folder, meant)}?`;
    return `there is no ${basename(path)} in ${realpathSync(folder)}`;
  } catch {
    // Not a folder, or not for this user to read.
    return `there is no folder ${folder}`;
  }
}

// Another case, another ending, or one character too many, too few or wrong.
function isMuchLike(name: string, wanted: string): boolean {
  const [a, b] = [name.toLowerCase(), wanted.toLowerCase()];
  if (a === b) return true;
  const stem = (text: string): string => text.slice(0, text.length - extname(text).length);
  if (stem(a) === stem(b) && stem(a) !== '') return true;
  // Short names are all alike.
  if (stem(b).length < 3) return false;
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  const rest = (text: string, skip: number): string => text.slice(same + skip);
  return rest(a, 1) === rest(b, 1) || rest(a, 1) === rest(b, 0) || rest(a, 0) === rest(b, 1);
}

/**
 * Writes a file so that a reader, or a crash at any moment, sees the old or the new content and nothing between: a
 * temporary file beside it, synced, then renamed. `mode` is narrowed by the umask. A symbolic link is followed; a
 * device or pipe is written to directly. With `existing: 'refuse'` a file that is there already stays: FILE_EXISTS.
 * Else FILE_UNWRITABLE with its remedy.
 */
export function writeFileAtomic(
  path: string,
  bytes: Uint8Array | string,
  mode: number,
  existing: 'replace' | 'refuse' = 'replace',
): void {
  try {
    const found = statIfThere(path);
    if (found !== undefined && existing === 'refuse') throw alreadyThere(path);
    if (found !== undefined && !found.isFile()) writeFileSync(path, bytes);
    else replaceFile(found === undefined ? path : realpathSync(path), bytes, mode, existing);
  } catch (cause) {
    throw cause instanceof HallmarkError ? cause : unwritable(path, cause);
  }
}

/**
 * Throws what `writeFileAtomic` would: whether a file can be made is found out by making one, as permissions do not tell
 * everything.
 */
export function requireWritableFile(path: string): void {
  try {
    const found = statIfThere(path);
    if (found?.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' });
    if (found !== undefined && !found.isFile()) {
      accessSync(path, constants.W_OK);
      return;
    }
    const probe = temporaryBeside(found === undefined ? path : realpathSync(path));
    closeSync(openSync(probe, 'wx', 0o600));
    unlinkSync(probe);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

const temporaryBeside = (path: string): string => join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);

function statIfThere(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/**
 * Makes a file by way of `write`, which fills the empty file of mode 0600 that it is given: at `path` there is nothing or all
 * of it, also after a crash. For what is too large for memory. FILE_EXISTS if there is one already, FILE_UNWRITABLE.
 */
export function createFileAtomic(path: string, write: (temporary: string) => void): void {
  try {
    if (statIfThere(path) !== undefined) throw alreadyThere(path);
    const temporary = temporaryBeside(path);
    try {
      closeSync(openSync(temporary, 'wx', 0o600));
      write(temporary);
      const fd = openSync(temporary, 'r+');
      try {
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      linkNew(temporary, path);
    } catch (error) {
      removeIfThere(temporary);
      throw error;
    }
    syncFolder(dirname(path));
  } catch (cause) {
    throw cause instanceof HallmarkError ? cause : unwritable(path, cause);
  }
}

function replaceFile(path: string, bytes: Uint8Array | string, mode: number, existing: 'replace' | 'refuse'): void {
  const temporary = temporaryBeside(path);
  try {
    // 'wx': a link that somebody laid at the temporary name is not followed.
    const fd = openSync(temporary, 'wx', mode);
    try {
      const data = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes;
      for (let at = 0; at < data.length; ) at += writeSync(fd, data, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (existing === 'replace') renameSync(temporary, path);
    else linkNew(temporary, path);
  } catch (error) {
    removeIfThere(temporary);
    throw error;
  }
  syncFolder(dirname(path));
}

// rename replaces what is there, link does not: whoever comes second fails.
function linkNew(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? alreadyThere(path) : error;
  }
  unlinkSync(temporary);
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was renamed already, or never made; the error that led here says more.
  }
}

// The rename itself is durable only once the folder is synced. Not every file system lets one sync a folder.
function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EINVAL' && code !== 'EISDIR' && code !== 'EPERM' && code !== 'EACCES' && code !== 'ENOTSUP')
      throw error;
  }
}

const alreadyThere = (path: string): StorageError =>
  new StorageError('FILE_EXISTS', `${path} exists already`, {
    hint: `remove it first, or choose another name: rm ${shellWord(path)}`,
  });

/** FILE_UNWRITABLE: what is in the way of writing a path, found out from the system's error and the file system. */
export function unwritable(path: string, cause: unknown): StorageError {
  const [problem, hint] = whyUnwritable(path, cause as NodeJS.ErrnoException);
  return new StorageError('FILE_UNWRITABLE', `cannot write ${path}: ${problem}`, { cause, hint });
}

function whyUnwritable(path: string, { code, message }: NodeJS.ErrnoException): [problem: string, hint: string] {
  const folder = dirname(path);
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'EEXIST': {
      // The code alone does not tell a folder that is absent from a file in its place, or from one that takes no files.
      const blocking = fileOnTheWay(code === 'EEXIST' ? path : folder);
      if (blocking !== undefined) return [`${blocking} is a file, not a folder`, `ls -l ${shellWord(blocking)}`];
      return existsSync(folder)
        ? [`no file can be made in ${folder}`, 'choose a folder that can be written to']
        : [`the folder ${folder} does not exist`, `mkdir -p ${shellWord(folder)}`];
    }
    case 'EACCES':
    case 'EPERM':
      return ['no permission', `ls -ld ${shellWord(folder)} ${shellWord(path)}`];
    case 'EISDIR':
      return ['it is a folder', 'name a file inside it'];
    case 'EROFS':
      return ['the file system is read-only', 'choose a folder that can be written to'];
    case 'ENOSPC':
    case 'EDQUOT':
      return ['no space is left', `df -h ${shellWord(folder)}`];
    default:
      return [message, `ls -ld ${shellWord(folder)}`];
  }
}

// The path itself, or what is above it, that is there and is no folder.
function fileOnTheWay(path: string): string | undefined {
  for (let at = path; ; at = dirname(at)) {
    const found = statSyncOr(at);
    if (found !== undefined) return found.isDirectory() ? undefined : at;
    if (dirname(at) === at) return undefined;
  }
}

// statSync throws for what is below a file.
function statSyncOr(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Makes a folder and those above it; one that exists keeps what it holds but gets `mode` if it is private (0700). */
export function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode });
    if (mode === 0o700) chmodSync(path, mode);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** Makes an empty file that only its owner may read (0600) unless there is one, which stays as it is. FILE_UNWRITABLE. */
export function createPrivateFile(path: string): void {
  try {
    // 'wx' opens nothing that exists: closing a database that this process has open elsewhere would drop its locks.
    closeSync(openSync(path, 'wx', 0o600));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(path, cause);
  }
}

/** Whether there is something at a path that this user can see. */
export const fileExists = (path: string): boolean => existsSync(path);

/** The paths of everything below a folder, relative to it. Throws the system's error. */
export const listFolder = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' });
