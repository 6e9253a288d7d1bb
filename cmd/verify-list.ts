import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { InputError, parseNamed, UsageError, VerificationError } from '../core/errors.ts';
import { readFileBounded, readStdinBounded } from '../core/files.ts';
import { MAX_FILE_LIST_BYTES } from '../core/limits.ts';
import { BUNDLE_SUFFIX } from './bundle-file.ts';

/** Names of artifacts from a file, or from standard input for `-`: one a line, or each ended by a NUL (`find -print0`). */
export function readFileList(path: string): string[] {
  const bytes =
    path === '-'
      ? readStdinBounded(MAX_FILE_LIST_BYTES, 'list of files')
      : readFileBounded(path, MAX_FILE_LIST_BYTES, 'list of files');
  const text = parseNamed(`list of files ${path}`, 'give file names in UTF-8, one a line', () => parseUtf8(bytes));
  const names = text.split(text.includes('\0') ? '\0' : '\n').filter((name) => name !== '');
  if (names.length === 0) throw new UsageError('the list of files is empty');
  return names;
}

/**
 * The artifacts that are meant: a folder stands for the files in it, at any depth, that have a bundle beside them; with `all`
 * for every file but the bundles. NO_SIGNATURE if that is none; INPUT_UNREADABLE.
 */
export function expandFolders(
  references: readonly string[],
  all: boolean,
): { artifacts: string[]; passedOver: number } {
  let passedOver = 0;
  const artifacts = references.flatMap((reference) => {
    if (!isFolder(reference)) return [reference];
    const files = filesWithin(reference);
    const present = new Set(files);
    const candidates = files.filter((file) => !file.endsWith(BUNDLE_SUFFIX));
    const signed = candidates.filter((file) => present.has(`${file}${BUNDLE_SUFFIX}`));
    if (signed.length === 0) throw nothingSigned(reference);
    if (all) return candidates;
    passedOver += candidates.length - signed.length;
    return signed;
  });
  return { artifacts, passedOver };
}

/** True for the name of a folder that is there. */
export function isFolder(reference: string): boolean {
  try {
    return statSync(reference, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    // What stands in the way is told by who reads it.
    return false;
  }
}

// Links to files are followed, links to folders are not: they may lead in circles, which the runtime's own walk runs into.
function filesWithin(folder: string): string[] {
  const files: string[] = [];
  const open = [folder];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const entry of entriesOf(at)) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) open.push(path);
      else if (entry.isFile() || (entry.isSymbolicLink() && !isFolder(path))) files.push(path);
    }
  }
  return files.sort();
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    throw new InputError('INPUT_UNREADABLE', `folder ${folder} cannot be read: ${(cause as Error).message}`, {
      cause,
      hint: `ls -l ${folder}`,
    });
  }
}

function nothingSigned(folder: string): VerificationError {
  return new VerificationError('NO_SIGNATURE', 'parse', `no file in ${folder} has a signature beside it`, {
    hint: `a signature is called FILE${BUNDLE_SUFFIX}; get them from where the files came from`,
  });
}
