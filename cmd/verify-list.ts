import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { type HallmarkError, InputError, parseNamed, UsageError, VerificationError } from '../core/errors.ts';
import { readFileBounded, readStdinBounded } from '../core/files.ts';
import { MAX_FILE_LIST_BYTES } from '../core/limits.ts';
import { parseDigestReference } from './artifact.ts';
import { BUNDLE_SUFFIX } from './bundle-file.ts';
import { shellWord } from './report.ts';

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

/** What stands in a folder and cannot be verified. */
export interface Unverifiable {
  readonly reference: string;
  readonly error: HallmarkError;
}

export interface Expanded {
  readonly artifacts: readonly string[];
  /** Each is a failure of its own. */
  readonly unverifiable: readonly Unverifiable[];
  /** How many have no signature, where that is no failure. */
  readonly passedOver: number;
}

/**
 * The artifacts that are meant: a folder stands for the regular files in it, at any depth, that have a bundle beside them; with
 * `all` for everything in it, and what is no file with a signature is unverifiable. So is, always, what has a bundle but is no
 * regular file, and a name that is not UTF-8. USAGE for what can only be verified alone, NO_SIGNATURE if a folder has nothing
 * that is signed; INPUT_UNREADABLE.
 */
export function expandFolders(references: readonly string[], all: boolean): Expanded {
  const artifacts: string[] = [];
  const unverifiable: Unverifiable[] = [];
  let passedOver = 0;
  for (const reference of references) {
    requireFileName(reference);
    if (!isFolder(reference)) {
      artifacts.push(reference);
      continue;
    }
    const { files, others, unnamed } = contentsOf(reference);
    const present = new Set([...files, ...others.keys()]);
    const isSigned = (path: string): boolean => present.has(`${path}${BUNDLE_SUFFIX}`);
    const candidates = files.filter((path) => !path.endsWith(BUNDLE_SUFFIX));
    const signed = candidates.filter(isSigned);
    const meant = new Set(candidates);
    // Of what a bundle is about, only a file that is verified: anything can be called FILE.sigstore.json.
    const orphans = files.filter((path) => path.endsWith(BUNDLE_SUFFIX) && !meant.has(artifactOf(path)));
    const odd = [...others].filter(([path]) => all || (isSigned(path) && !path.endsWith(BUNDLE_SUFFIX)));
    const failures = [
      ...unnamed,
      ...odd.map(([path, kind]) => ({ reference: path, error: notRegular(path, kind) })),
      ...(all ? orphans.map((path) => ({ reference: path, error: withoutArtifact(path) })) : []),
    ];
    if (signed.length === 0 && unnamed.length === 0 && (all || odd.length === 0)) throw nothingSigned(reference);
    unverifiable.push(...failures);
    artifacts.push(...(all ? candidates : signed));
    if (!all) passedOver += candidates.length - signed.length + others.size - odd.length;
  }
  return { artifacts, unverifiable, passedOver };
}

const artifactOf = (bundle: string): string => bundle.slice(0, -BUNDLE_SUFFIX.length);

// A digest or standard input has no bundle beside it, and one bundle is about one artifact.
function requireFileName(reference: string): void {
  if (reference !== '-' && parseDigestReference(reference) === undefined) return;
  throw new UsageError(`${reference} can only be verified alone`, {
    hint: `hallmark verify ${shellWord(reference)} --bundle FILE ...; for a file of that name write ./${reference}`,
  });
}

/** True for the name of a folder that is there. */
export function isFolder(reference: string): boolean {
  return statOf(reference, statSync)?.isDirectory() ?? false;
}

function statOf(path: string, stat: typeof statSync): Stats | undefined {
  try {
    return stat(path, { throwIfNoEntry: false });
  } catch {
    // What stands in the way is told by who reads it.
    return undefined;
  }
}

interface Contents {
  /** Regular files and links to them, sorted. */
  readonly files: readonly string[];
  /** Everything else but folders, and what it is. */
  readonly others: ReadonlyMap<string, string>;
  /** Names that are not UTF-8: no path leads to them, as the runtime takes them for others. */
  readonly unnamed: readonly Unverifiable[];
}

// Links to folders are not followed: they may lead in circles, or out of the folder.
function contentsOf(folder: string): Contents {
  const files: string[] = [];
  const others = new Map<string, string>();
  const unnamed: Unverifiable[] = [];
  const open = [folder];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const bytes of entriesOf(at)) {
      const name = nameOf(bytes);
      // As it was typed, with its ./: inside of it a file may be called - or sha256:abc.
      const within = at.endsWith('/') ? at : `${at}/`;
      if (name === undefined) {
        const reference = `${within}${escaped(bytes)}`;
        unnamed.push({ reference, error: notUtf8(reference) });
        continue;
      }
      const path = `${within}${name}`;
      const kind = kindOf(path);
      if (kind === 'folder') open.push(path);
      else if (kind === 'file') files.push(path);
      else others.set(path, kind);
    }
  }
  return { files: files.sort(), others, unnamed };
}

function kindOf(path: string): string {
  const isLink = statOf(path, lstatSync)?.isSymbolicLink() ?? false;
  const found = statOf(path, statSync);
  if (found === undefined) return isLink ? 'a link that leads nowhere' : 'unreadable';
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return isLink ? 'a link to a folder' : 'folder';
  return found.isFIFO() ? 'a pipe' : 'a device or socket';
}

function nameOf(bytes: Uint8Array): string | undefined {
  try {
    return parseUtf8(bytes);
  } catch {
    return undefined;
  }
}

/** Bytes as text that shows each: `x\xff`. */
const escaped = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) =>
    byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
  ).join('');

function entriesOf(folder: string): Uint8Array[] {
  try {
    return readdirSync(folder, { encoding: 'buffer' });
  } catch (cause) {
    throw new InputError('INPUT_UNREADABLE', `folder ${folder} cannot be read: ${(cause as Error).message}`, {
      cause,
      hint: `ls -l ${shellWord(folder)}`,
    });
  }
}

const notUtf8 = (path: string): InputError =>
  new InputError('INPUT_UNREADABLE', `the name ${path} is not UTF-8`, { hint: 'rename it' });

const notRegular = (path: string, kind: string): InputError =>
  new InputError('INPUT_UNREADABLE', `${path} is ${kind}, not a file`, {
    hint: 'a folder is verified by its own name; put files in the place of links, or take it away',
  });

const withoutArtifact = (bundle: string): InputError =>
  new InputError('INPUT_MISSING', `${bundle} is no signature of a file that is verified here`, {
    hint: `get ${artifactOf(bundle)} from where it came from, or take it away`,
  });

function nothingSigned(folder: string): VerificationError {
  return new VerificationError('NO_SIGNATURE', 'parse', `no file in ${folder} has a signature beside it`, {
    evidence: 'bundle',
    hint: `a signature is called FILE${BUNDLE_SUFFIX}; get them from where the files came from`,
  });
}
