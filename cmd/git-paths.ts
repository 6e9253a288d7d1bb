import { InputError } from '../core/errors.ts';
import { MAX_GIT_COMPARED_ENTRIES, MAX_GIT_PARENTS, MAX_GIT_TREE_DEPTH } from '../core/limits.ts';
import { isFolder, parseCommitLinks, type TreeEntry } from '../gitsign/snapshot.ts';
import { linesOf, tryGit } from './git-process.ts';
import type { ObjectStore } from './git-store.ts';

/**
 * The paths that a commit answers for: of one with at most one parent all that it changes. A merge answers for what it decides
 * itself: paths that are as in none of its parents, and changes of one side since the common ancestor that it drops. Trees are
 * read and compared here, each held to its ID: no setting or attribute of the repository has a say. INPUT_MISSING,
 * INPUT_TOO_LARGE, GIT_OBJECT_INVALID.
 */
export async function changedPaths(store: ObjectStore, body: Uint8Array): Promise<readonly string[]> {
  const { tree, parents } = parseCommitLinks(body);
  const comparison = new Comparison(store);
  const sides = await treesOf(store, parents);
  if (sides.length < 2) return [...(await comparison.differences(sides[0], tree))];

  const differing: ReadonlySet<string>[] = [];
  for (const side of sides) differing.push(await comparison.differences(side, tree));
  const bases = await treesOf(store, commonAncestors(parents));
  const decided = new Set<string>();
  for (const [i, side] of sides.entries()) {
    const own = differing[i] as ReadonlySet<string>;
    if (own.size === 0) continue;
    // Of histories that have nothing in common the ancestor is the empty tree: each side has brought all that it holds.
    const brought = new Set<string>();
    for (const base of bases.length > 0 ? bases : [undefined]) {
      for (const path of await comparison.differences(base, side)) brought.add(path);
    }
    for (const path of own) {
      if (brought.has(path) || differing.every((each) => each.has(path))) decided.add(path);
    }
  }
  return [...decided];
}

async function treesOf(store: ObjectStore, commits: readonly string[]): Promise<string[]> {
  const trees: string[] = [];
  for (const commit of commits) trees.push((await store.links(commit)).tree);
  return trees;
}

function commonAncestors(parents: readonly string[]): string[] {
  const kind = parents.length > 2 ? ['--octopus'] : [];
  const { code, stdout } = tryGit(['merge-base', '--all', ...kind, ...parents]);
  const found = code === 0 ? linesOf(stdout) : [];
  if (found.length <= MAX_GIT_PARENTS) return found;
  throw new InputError('INPUT_TOO_LARGE', `a merge with more than ${MAX_GIT_PARENTS} common ancestors`);
}

/** Compares the trees of one commit, and counts what that takes: a few small trees can unfold to any number of paths. */
class Comparison {
  readonly #store: ObjectStore;
  #compared = 0;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** The paths of files that are in one tree and not, or not the same, in the other; no tree is the empty one. */
  async differences(one: string | undefined, other: string | undefined): Promise<ReadonlySet<string>> {
    const paths = new Set<string>();
    await this.#compare(one, other, '', 0, paths);
    return paths;
  }

  async #compare(
    one: string | undefined,
    other: string | undefined,
    prefix: string,
    depth: number,
    paths: Set<string>,
  ): Promise<void> {
    if (one === other) return;
    if (depth > MAX_GIT_TREE_DEPTH) throw tooLarge(`folders more than ${MAX_GIT_TREE_DEPTH} deep`);
    const before = one === undefined ? EMPTY : await this.#store.tree(one);
    const after = other === undefined ? EMPTY : await this.#store.tree(other);
    this.#compared += before.size + after.size;
    if (this.#compared > MAX_GIT_COMPARED_ENTRIES) throw tooLarge(`more than ${MAX_GIT_COMPARED_ENTRIES} files`);
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      const [was, is] = [before.get(name), after.get(name)];
      if (was !== undefined && is !== undefined && was.id === is.id && was.mode === is.mode) continue;
      const path = `${prefix}${name}`;
      const isFile = [was, is].some((entry) => entry !== undefined && !isFolder(entry));
      if (isFile) paths.add(Buffer.from(path, 'latin1').toString());
      await this.#compare(folder(was), folder(is), `${path}/`, depth + 1, paths);
    }
  }
}

const EMPTY: ReadonlyMap<string, TreeEntry> = new Map();
const folder = (entry: TreeEntry | undefined): string | undefined => (entry && isFolder(entry) ? entry.id : undefined);
const tooLarge = (problem: string): InputError => new InputError('INPUT_TOO_LARGE', `a commit of ${problem}`);
