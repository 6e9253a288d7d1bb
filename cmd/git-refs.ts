import { InputError, UsageError } from '../core/errors.ts';
import { tryGit } from './git-process.ts';

/** What a revision names, and the full name of the branch or tag that it is named by, if it is. */
export interface Named {
  readonly id: string;
  /** refs/heads/ or refs/tags/; of a remote-tracking branch that of the branch which it tracks. */
  readonly ref: string | undefined;
}

interface StoredRef {
  readonly name: string;
  /** The ref that it stands for, as refs/remotes/origin/HEAD does. */
  readonly target: string;
}

const ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * What a revision names. A name that stands for several refs is refused: git takes a tag before a branch, and whoever can push
 * tags could choose what is meant. USAGE, INPUT_MISSING.
 */
export function resolveRevision(revision: string): Named {
  const [name = ''] = revision.split(/[\^~:]|@\{/, 1);
  const isWhole = name === revision;
  if (revision === 'HEAD' || revision === '@') return { id: resolve('HEAD'), ref: checkedOut() };
  if (name === '' || name === 'HEAD' || name === '@' || ID.test(name)) return { id: resolve(revision), ref: undefined };

  const found = refsOf(name);
  const [only, ...others] = found;
  // A remote-tracking name that is gone may not turn into a tag that is called refs/remotes/...
  if (only === undefined && name.startsWith('refs/')) throw missing(revision);
  if (only === undefined) return { id: resolve(revision), ref: undefined };
  const id = resolve(`${only.name}${revision.slice(name.length)}`);
  const isShortId = /^[0-9a-f]{4,}$/i.test(name) && isObject(name);
  // What git would take instead is something beside the refs, as a file in .git.
  if (others.length > 0 || isShortId || (only.name !== name && resolve(revision) !== id)) {
    throw ambiguous(
      name,
      found.map((ref) => ref.name),
    );
  }
  return { id, ref: isWhole ? placeOf(only) : undefined };
}

/** The branch or tag that --ref names; it need not be there. USAGE if it is neither, or could be both. */
export function resolvePlace(name: string): string {
  const place = name === 'HEAD' || name === '@' ? checkedOut() : placeNamed(name);
  if (place !== undefined) return place;
  throw new UsageError(`--ref ${JSON.stringify(name.slice(0, 200))} is neither a branch nor a tag`, {
    hint: '--ref refs/heads/main',
  });
}

function placeNamed(name: string): string | undefined {
  // The names that git would look for, whether they are there or not.
  if (!isRefName(`refs/${name}`)) return undefined;
  if (name.startsWith('refs/')) return placeOf(refNamed(name));
  if (/^(?:heads|tags|remotes)\//.test(name)) return unambiguous(name, `refs/${name}`);
  return unambiguous(
    name,
    branchTracked(`refs/remotes/${name}`) === undefined ? `refs/heads/${name}` : `refs/remotes/${name}`,
  );
}

function unambiguous(name: string, meant: string): string | undefined {
  const found = refsOf(name).filter((ref) => ref.name !== meant);
  if (found.length > 0) throw ambiguous(name, [meant, ...found.map((ref) => ref.name)]);
  return placeOf(refNamed(meant));
}

const refNamed = (name: string): StoredRef => storedRefs([name])[0] ?? { name, target: name };

const isRefName = (name: string): boolean => tryGit(['check-ref-format', name]).code === 0;

/** The branch that is checked out. */
function checkedOut(): string | undefined {
  const { code, stdout } = tryGit(['symbolic-ref', '--quiet', 'HEAD']);
  const ref = Buffer.from(stdout).toString().trim();
  return code === 0 && ref.startsWith('refs/heads/') ? ref : undefined;
}

function placeOf({ name, target }: StoredRef): string | undefined {
  if (/^refs\/(?:heads|tags)\/./.test(name) && name === target) return name;
  if (name.startsWith('refs/tags/')) return name;
  return target.startsWith('refs/heads/') ? target : branchTracked(target);
}

/** The branch of a remote that a remote-tracking ref follows, by the remote's own refspecs; those of other kinds are none. */
function branchTracked(ref: string): string | undefined {
  if (!ref.startsWith('refs/remotes/')) return undefined;
  const { stdout } = tryGit(['config', '-z', '--get-regexp', '^remote\\..*\\.fetch$']);
  const branches = new Set<string>();
  for (const entry of Buffer.from(stdout).toString().split('\0')) {
    const spec = entry.slice(entry.indexOf('\n') + 1).replace(/^\+/, '');
    const colon = spec.indexOf(':');
    if (colon < 0) continue;
    const source = substituted(spec.slice(0, colon), spec.slice(colon + 1), ref);
    if (source !== undefined) branches.add(source);
  }
  const [branch, ...others] = branches;
  return others.length === 0 && branch?.startsWith('refs/heads/') ? branch : undefined;
}

// The source of a refspec for what its destination matches (git-fetch(1)).
function substituted(source: string, destination: string, ref: string): string | undefined {
  const [before = '', after] = destination.split('*');
  if (after === undefined) return destination === ref ? source : undefined;
  if (!ref.startsWith(before) || !ref.endsWith(after) || ref.length <= before.length + after.length) return undefined;
  return source.replace('*', () => ref.slice(before.length, ref.length - after.length));
}

// Where git looks for a name (gitrevisions(7)), but for files in .git itself.
function refsOf(name: string): StoredRef[] {
  if (name.startsWith('refs/')) return storedRefs([name]);
  return storedRefs([
    `refs/${name}`,
    `refs/tags/${name}`,
    `refs/heads/${name}`,
    `refs/remotes/${name}`,
    `refs/remotes/${name}/HEAD`,
  ]);
}

function storedRefs(names: readonly string[]): StoredRef[] {
  // Patterns match more than names do: what is below them, and wildcards.
  const { stdout } = tryGit(['for-each-ref', '--format=%(refname)%00%(symref)', '--', ...names]);
  return Buffer.from(stdout)
    .toString()
    .split('\n')
    .map((line) => line.split('\0'))
    .filter(([name = '']) => names.includes(name))
    .map(([name = '', target = '']) => ({ name, target: target || name }));
}

const isObject = (shortId: string): boolean => tryGit(['rev-parse', `--disambiguate=${shortId}`]).stdout.length > 0;

// The ID of what a revision names.
function resolve(revision: string): string {
  const { code, stdout } = tryGit(['rev-parse', '--verify', '--quiet', '--end-of-options', revision]);
  const id = Buffer.from(stdout).toString().trim().split('\n').at(-1) ?? '';
  if (code !== 0 || !ID.test(id)) throw missing(revision);
  return id;
}

/** What helps where history is cut off. */
export const INCOMPLETE = 'is the history complete? in CI: git fetch --unshallow, or check out with fetch-depth: 0';

const missing = (revision: string): InputError =>
  new InputError('INPUT_MISSING', `${JSON.stringify(revision.slice(0, 200))} names no object of this repository`, {
    hint: INCOMPLETE,
  });

const ambiguous = (name: string, refs: readonly string[]): UsageError =>
  new UsageError(`${name} is ambiguous: ${refs.length > 1 ? refs.join(', ') : `${refs[0]}, or another object`}`, {
    hint: `say which: ${refs.at(-1)}`,
  });
