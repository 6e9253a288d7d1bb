import { concat } from '../core/bytes/bytes.ts';
import { InputError, UsageError } from '../core/errors.ts';
import { MAX_GIT_OBJECT_BYTES } from '../core/limits.ts';
import type { ObjectFormat, SignedKind } from '../gitsign/object.ts';
import { objectId } from '../gitsign/object-id.ts';
import { git, spawnGit, tryGit } from './git-process.ts';

/** An object to verify, and the full name of the ref that it was asked for by, if it was. */
export interface Wanted {
  readonly id: string;
  readonly ref: string | undefined;
}

/** What the command line names: objects, and the commits that ranges begin at. */
export interface Selection {
  readonly wanted: readonly Wanted[];
  /** The commits before the ranges: what they hold is not under test. Undefined if a revision alone was named. */
  readonly bases: readonly string[] | undefined;
  /** The branches and tags that revisions and the ends of ranges were named by. */
  readonly refs: readonly string[];
}

export const repositoryFormat = (): ObjectFormat =>
  git(['rev-parse', '--show-object-format']).trim() === 'sha256' ? 'sha256' : 'sha1';

/** Resolves revisions and ranges. USAGE, INPUT_UNREADABLE for what names nothing. */
export function selectObjects(revisions: readonly string[]): Selection {
  const wanted = new Map<string, Wanted>();
  const bases = new Set<string>();
  const refs = new Set<string>();
  let onlyRanges = true;
  for (const revision of revisions) {
    if (revision.startsWith('-')) throw new UsageError(`${revision} is not a revision`);
    const range = /^(.*?)(\.\.\.?)(.*)$/s.exec(revision);
    if (range === null) {
      onlyRanges = false;
      const id = resolve(revision);
      const ref = fullName(revision);
      if (ref !== undefined) refs.add(ref);
      wanted.set(id, { id, ref });
      continue;
    }
    const [, from = '', dots, to = ''] = range;
    const [start, end] = [from || 'HEAD', to || 'HEAD'];
    const base = resolve(`${start}^{commit}`);
    const ref = fullName(end);
    if (ref !== undefined) refs.add(ref);
    bases.add(dots === '..' ? base : git(['merge-base', base, resolve(`${end}^{commit}`)]).trim());
    for (const id of lines(git(['rev-list', '--end-of-options', revision, '--'])))
      if (!wanted.has(id)) wanted.set(id, { id, ref: undefined });
  }
  return { wanted: [...wanted.values()], bases: onlyRanges ? [...bases] : undefined, refs: [...refs] };
}

function resolve(revision: string): string {
  const { code, stdout } = tryGit(['rev-parse', '--verify', '--quiet', '--end-of-options', revision]);
  const id = Buffer.from(stdout).toString().trim().split('\n').at(-1) ?? '';
  if (code !== 0 || !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(id)) {
    throw new InputError(
      'INPUT_MISSING',
      `${JSON.stringify(revision.slice(0, 200))} names no object of this repository`,
      {
        hint: 'is the history complete? in CI: git fetch --unshallow, or check out with fetch-depth: 0',
      },
    );
  }
  return id;
}

/** The ref that a name is short for; HEAD is the branch that it stands for. */
function fullName(name: string): string | undefined {
  const { code, stdout } = tryGit(['rev-parse', '--symbolic-full-name', '--verify', '--quiet', name]);
  const ref = Buffer.from(stdout).toString().trim();
  return code === 0 && ref.startsWith('refs/') ? ref : undefined;
}

/** The commits that are in `id` and in none of the refs that the repository has, or not in `old`. */
export function newCommits(id: string, old: string | undefined): string[] {
  return lines(git(['rev-list', id, ...(old === undefined ? ['--not', '--all'] : [`^${old}`]), '--']));
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
          hint: 'is the history complete? in CI: git fetch --unshallow, or check out with fetch-depth: 0',
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
