import { serializeHex } from '../core/bytes/bytes.ts';
import { InputError } from '../core/errors.ts';
import { MAX_GIT_PARENTS } from '../core/limits.ts';
import { headersEnd, type ObjectFormat } from './object.ts';

/** What a commit points to, by IDs. */
export interface CommitLinks {
  readonly tree: string;
  readonly parents: readonly string[];
}

/** What a folder holds under a name: a file, symbolic link or submodule, or another folder. */
export interface TreeEntry {
  /** As git writes it, in octal. */
  readonly mode: string;
  readonly id: string;
}

const fail = (problem: string): InputError => new InputError('GIT_OBJECT_INVALID', `not a git object: ${problem}`);

/** The tree and the parents of a commit. Readers differ on lines elsewhere, so they are refused. GIT_OBJECT_INVALID, INPUT_TOO_LARGE */
export function parseCommitLinks(body: Uint8Array): CommitLinks {
  const headers = Buffer.from(body.subarray(0, headersEnd(body))).toString('latin1');
  const [whole = '', tree = '', lines = ''] =
    /^tree ([0-9a-f]{40}|[0-9a-f]{64})\n((?:parent [0-9a-f]+\n)*)/.exec(headers) ?? [];
  const parents = lines.split('\n').flatMap((line) => (line === '' ? [] : [line.slice('parent '.length)]));
  if (tree === '' || parents.some((parent) => parent.length !== tree.length)) throw fail('a commit without a tree');
  if (/^(?:tree|parent)(?: |$)/m.test(headers.slice(whole.length))) throw fail('a tree or parent where none goes');
  if (parents.length > MAX_GIT_PARENTS) {
    throw new InputError('INPUT_TOO_LARGE', `a commit of more than ${MAX_GIT_PARENTS} parents`);
  }
  return { tree, parents };
}

/** What a folder holds by name (in Latin-1: names are bytes). Names that git would refuse to check out are. GIT_OBJECT_INVALID */
export function parseTree(body: Uint8Array, format: ObjectFormat): ReadonlyMap<string, TreeEntry> {
  const idBytes = format === 'sha1' ? 20 : 32;
  const entries = new Map<string, TreeEntry>();
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf(0, at);
    if (end < 0 || body.length - end - 1 < idBytes) throw fail('a tree that ends in an entry');
    const [, mode = '', name = ''] =
      /^([0-7]{5,6}) ([^/]+)$/s.exec(Buffer.from(body.subarray(at, end)).toString('latin1')) ?? [];
    if (name === '' || name === '.' || name === '..') throw fail('a tree with a name that is none');
    // Of two entries under one name each reader takes its own.
    if (entries.has(name)) throw fail('a tree with two entries under one name');
    at = end + 1 + idBytes;
    entries.set(name, { mode, id: serializeHex(body.subarray(end + 1, at)) });
  }
  return entries;
}

const isOfType =
  (type: number) =>
  ({ mode }: TreeEntry): boolean =>
    (Number.parseInt(mode, 8) & 0o170000) === type;
export const isFolder = isOfType(0o040000);
export const isRegularFile = isOfType(0o100000);
