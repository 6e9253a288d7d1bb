import { concat } from '../core/bytes/bytes.ts';
import { InputError, UsageError } from '../core/errors.ts';
import { MAX_GIT_OBJECT_BYTES } from '../core/limits.ts';
import { headersEnd, type ObjectFormat, type SignedKind } from '../gitsign/object.ts';
import { objectId } from '../gitsign/object-id.ts';
import { git, spawnGit } from './git-process.ts';
import { INCOMPLETE, type Named, resolveRevision } from './git-refs.ts';

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

function commitOf(revision: string): Named {
  const { id, ref } = resolveRevision(revision);
  return { id: git(['rev-parse', '--verify', '--end-of-options', `${id}^{commit}`]).trim(), ref };
}

/** The commits that are in `id` and in none of the refs that the repository has, or not in `old`. */
export const newCommits = (id: string, old: string | undefined): Walked[] =>
  walk(id, ...(old === undefined ? ['--not', '--all'] : [`^${old}`]));

/** A commit that a walk came upon, with what git takes for its parents. */
type Walked = Required<Pick<Wanted, 'id' | 'parents'>>;

const walk = (...which: readonly string[]): Walked[] =>
  lines(git(['rev-list', '--parents', ...which, '--'])).map((line) => {
    const [id = '', ...parents] = line.split(' ');
    return { id, parents };
  });

/**
 * Holds what git takes for a commit's parents to the commit. A shallow clone and grafts cut history off, and what is behind the
 * cut would pass unseen. INPUT_MISSING.
 */
export function requireHistory({ id, parents }: Wanted, body: Uint8Array): void {
  if (parents === undefined) return;
  const headers = Buffer.from(body.subarray(0, headersEnd(body))).toString('latin1');
  const own = [...headers.matchAll(/^parent (.*)$/gm)].map(([, parent]) => parent);
  if (own.join(' ') === parents.join(' ')) return;
  throw new InputError('INPUT_MISSING', `the history is cut off at ${id}: its parents are not here, or are others`, {
    hint: INCOMPLETE,
  });
}

export const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** An object as it lies in the repository, of the ID that it was asked for. */
export interface StoredObject {
  readonly id: string;
  /** Of a tree or blob undefined: it has no signature. */
  readonly kind: SignedKind | undefined;
  readonly body: Uint8Array;
}

/**
 * Reads objects through one `git cat-file --batch`, in the given order. Each is held to its ID, so that what is verified is what
 * the ID names, whatever the repository's files say. INPUT_MISSING, INPUT_TOO_LARGE, GIT_OBJECT_INVALID.
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
      const header = await reader.line();
      const [named, kind = '', size = ''] = header.split(' ');
      if (named !== id || !/^\d{1,12}$/.test(size)) {
        throw new InputError('INPUT_MISSING', `the repository does not have the object ${id}`, {
          hint: INCOMPLETE,
        });
      }
      if (Number(size) > MAX_GIT_OBJECT_BYTES) {
        throw new InputError('INPUT_TOO_LARGE', `the object ${id} has more than ${MAX_GIT_OBJECT_BYTES} bytes`);
      }
      const body = await reader.bytes(Number(size));
      await reader.bytes(1);
      if (kind !== 'commit' && kind !== 'tag') {
        yield { id, kind: undefined, body };
        continue;
      }
      if (objectId(kind, body, format) !== id) {
        throw new InputError(
          'GIT_OBJECT_INVALID',
          `the object ${id} is not what its ID says: the repository is damaged`,
          {
            hint: 'git fsck',
          },
        );
      }
      yield { id, kind, body };
    }
    await feed;
  } finally {
    child.kill();
    await child.exited;
  }
}

/** Takes lines and counted bytes from a stream. */
class ByteReader {
  readonly #reader: { read(): Promise<{ readonly value?: Uint8Array | undefined }> };
  #buffer: Uint8Array = new Uint8Array();
  #at = 0;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  async #chunk(): Promise<Uint8Array> {
    const { value } = await this.#reader.read();
    if (value === undefined) throw new InputError('INPUT_UNREADABLE', 'git ended before it had given every object');
    return value;
  }

  async #more(): Promise<void> {
    const value = await this.#chunk();
    this.#buffer = this.#at === this.#buffer.length ? value : concat(this.#buffer.subarray(this.#at), value);
    this.#at = 0;
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf(0x0a, this.#at);
      if (end >= 0) {
        const text = Buffer.from(this.#buffer.subarray(this.#at, end)).toString('latin1');
        this.#at = end + 1;
        return text;
      }
      await this.#more();
    }
  }

  async bytes(count: number): Promise<Uint8Array> {
    if (this.#buffer.length - this.#at < count) {
      const parts = [this.#buffer.subarray(this.#at)];
      let length = parts[0]?.length ?? 0;
      while (length < count) {
        const value = await this.#chunk();
        parts.push(value);
        length += value.length;
      }
      this.#buffer = concat(...parts);
      this.#at = 0;
    }
    const taken = this.#buffer.subarray(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }
}
