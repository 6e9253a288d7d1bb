import { InputError, UsageError } from '../core/errors.ts';
import type { ObjectFormat, SignedKind } from '../gitsign/object.ts';
import { parseCommitLinks } from '../gitsign/snapshot.ts';
import { git, linesOf, spawnGit } from './git-process.ts';
import { INCOMPLETE, type Named, resolveRevision } from './git-refs.ts';
import { ByteReader, takeObject } from './git-store.ts';

/** An object to verify, and where it is to stand. */
export interface Wanted {
  readonly id: string;
  /** The branch or tag that it itself was asked for by, in full: what a tag is held to. */
  readonly named: string | undefined;
  /** The branch or tag that it is to be on, in full: what a policy's rules are about. */
  readonly place: string | undefined;
  /** What git takes for its parents, of a commit that a walk came upon. */
  readonly parents?: readonly string[];
}

/** What the command line names: objects, and the commits that ranges begin at. */
export interface Selection {
  /** Each once for every place that it is named in. */
  readonly wanted: readonly Wanted[];
  /** The commits before the ranges: what they hold is not under test. Undefined if a revision alone was named. */
  readonly bases: readonly string[] | undefined;
}

export const repositoryFormat = (): ObjectFormat =>
  git(['rev-parse', '--show-object-format']).trim() === 'sha256' ? 'sha256' : 'sha1';

/** Resolves revisions and ranges. USAGE of what is ambiguous, INPUT_MISSING, INPUT_UNREADABLE of what names nothing. */
export function selectObjects(revisions: readonly string[]): Selection {
  const wanted = new Map<string, Wanted>();
  const bases = new Set<string>();
  let onlyRanges = true;
  const add = (each: Wanted): void => {
    wanted.set([each.id, each.named, each.place].join(' '), each);
  };
  for (const revision of revisions) {
    if (revision.startsWith('-')) throw new UsageError(`${revision} is not a revision`);
    const range = /^(.*?)(\.\.\.?)(.*)$/s.exec(revision);
    if (range === null) {
      onlyRanges = false;
      const { id, ref } = resolveRevision(revision);
      add({ id, named: ref, place: ref });
      continue;
    }
    const [, from = '', dots = '', to = ''] = range;
    const start = commitOf(from || 'HEAD');
    const end = commitOf(to || 'HEAD');
    bases.add(dots === '..' ? start.id : git(['merge-base', start.id, end.id]).trim());
    for (const each of walk(`${start.id}${dots}${end.id}`)) add({ ...each, named: undefined, place: end.ref });
  }
  return { wanted: [...wanted.values()], bases: onlyRanges ? [...bases] : undefined };
}

/** The commit that a revision names, itself or through a tag. USAGE, INPUT_MISSING, INPUT_UNREADABLE. */
export function commitOf(revision: string): Named {
  const { id, ref } = resolveRevision(revision);
  return { id: git(['rev-parse', '--verify', '--end-of-options', `${id}^{commit}`]).trim(), ref };
}

/** The commits that are in `id` and in none of the refs that the repository has, or not in `old`. */
export const newCommits = (id: string, old: string | undefined): Walked[] =>
  walk(id, ...(old === undefined ? ['--not', '--all'] : [`^${old}`]));

/** A commit that a walk came upon, with what git takes for its parents. */
type Walked = Required<Pick<Wanted, 'id' | 'parents'>>;

const walk = (...which: readonly string[]): Walked[] =>
  linesOf(git(['rev-list', '--parents', ...which, '--'])).map((line) => {
    const [id = '', ...parents] = line.split(' ');
    return { id, parents };
  });

/**
 * Holds what git takes for a commit's parents to the commit. A shallow clone and grafts cut history off, and what is behind the
 * cut would pass unseen. INPUT_MISSING, GIT_OBJECT_INVALID, INPUT_TOO_LARGE.
 */
export function requireHistory({ id, parents }: Wanted, body: Uint8Array): void {
  if (parents === undefined) return;
  if (parseCommitLinks(body).parents.join(' ') === parents.join(' ')) return;
  throw new InputError('INPUT_MISSING', `the history is cut off at ${id}: its parents are not here, or are others`, {
    hint: INCOMPLETE,
  });
}

/** An object as it lies in the repository, of the ID that it was asked for. */
export interface StoredObject {
  readonly id: string;
  /** Of a tree or blob undefined: it has no signature. */
  readonly kind: SignedKind | undefined;
  readonly body: Uint8Array;
}

/**
 * Reads objects through one `git cat-file --batch`, in the given order, each held to its ID. INPUT_MISSING, INPUT_TOO_LARGE,
 * GIT_OBJECT_INVALID.
 */
export async function* readObjects(ids: readonly string[], format: ObjectFormat): AsyncGenerator<StoredObject> {
  if (ids.length === 0) return;
  const child = spawnGit(['cat-file', '--batch', '--buffer']);
  const feed = (async () => {
    try {
      child.stdin.write(`${ids.join('\n')}\n`);
      await child.stdin.end();
    } catch {
      // It ended early: what is missing of its answers tells.
    }
  })();
  const reader = new ByteReader(child.stdout);
  try {
    for (const id of ids) {
      const { kind, body } = await takeObject(reader, id, format);
      yield { id, kind: kind === 'commit' || kind === 'tag' ? kind : undefined, body };
    }
    await feed;
  } finally {
    child.kill();
    await child.exited;
  }
}
