import { InputError } from '../core/errors.ts';
import { lines } from './git-objects.ts';
import { git, tryGit } from './git-process.ts';

// What is under test cannot choose what is shown of it: .gitmodules may ask to leave submodules out, .gitattributes for programs.
const EXACTLY = ['--no-renames', '--no-ext-diff', '--no-textconv', '--ignore-submodules=none'];

/**
 * The paths that each commit answers for: of one with at most one parent all that it changes. A merge answers for what it decides
 * itself: paths that are as in none of its parents, and changes of one side since the common ancestor that it drops.
 * INPUT_UNREADABLE
 */
export function changedPaths(ids: readonly string[]): Map<string, readonly string[]> {
  const paths = new Map<string, readonly string[]>();
  if (ids.length === 0) return paths;
  const input = Buffer.from(`${ids.join('\n')}\n`);
  const parents = new Map(
    lines(git(['rev-list', '--no-walk=unsorted', '--parents', '--stdin'], input)).map((line) => {
      const [id = '', ...others] = line.split(' ');
      return [id, others];
    }),
  );
  const single = ids.filter((id) => (parents.get(id)?.length ?? 0) < 2);
  for (const [id, changed] of diffsOf(single)) paths.set(id, changed);
  for (const id of ids) {
    const sides = parents.get(id) ?? [];
    if (sides.length >= 2) paths.set(id, decidedPaths(id, sides));
    else if (!paths.has(id)) paths.set(id, []);
  }
  return paths;
}

// In raw form a path always follows an entry that begins with a colon, so that no name of a file is taken for an ID.
function diffsOf(ids: readonly string[]): Map<string, string[]> {
  if (ids.length === 0) return new Map();
  const asked = new Set(ids);
  const args = ['diff-tree', '--stdin', '-r', '--root', '--raw', '-z', ...EXACTLY];
  const parts = git(args, Buffer.from(`${ids.join('\n')}\n`)).split('\0');
  const found = new Map<string, string[]>();
  let current: string[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as string;
    if (part.startsWith(':')) current.push(parts[++i] ?? '');
    else if (part !== '') {
      if (!asked.has(part)) throw new InputError('INPUT_UNREADABLE', 'git diff-tree printed what it never prints');
      current = [];
      found.set(part, current);
    }
  }
  return found;
}

function decidedPaths(id: string, parents: readonly string[]): string[] {
  const bases = commonAncestors(parents);
  const differing = parents.map((parent) => new Set(differences(parent, id)));
  const decided = new Set<string>();
  for (const [i, parent] of parents.entries()) {
    const side = new Set(bases.flatMap((base) => differences(base, parent)));
    for (const path of differing[i] as Set<string>) {
      if (side.has(path) || differing.every((each) => each.has(path))) decided.add(path);
    }
  }
  return [...decided];
}

// Of histories that have nothing in common the ancestor is the empty tree: each side has brought all that it holds.
function commonAncestors(parents: readonly string[]): string[] {
  const kind = parents.length > 2 ? ['--octopus'] : [];
  const { code, stdout } = tryGit(['merge-base', '--all', ...kind, ...parents]);
  if (code === 0) return lines(Buffer.from(stdout).toString());
  return [git(['hash-object', '-t', 'tree', '--stdin'], new Uint8Array()).trim()];
}

const differences = (one: string, other: string): string[] =>
  git(['diff-tree', '-r', '--name-only', '-z', ...EXACTLY, one, other, '--'])
    .split('\0')
    .filter((path) => path !== '');
